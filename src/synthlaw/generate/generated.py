"""What came of documents, in four lists, and its counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from synthlaw.corpus.documents import Document

KINDS = ("documents", "dropped", "failed", "aside")
"""Names of the lists, in files and folders too."""

Counts = dict[str, Any]
"""Counts as JSON: numbers, and numbers by reason."""


@dataclass
class Generated:
    """Everything that came of some documents, in their order.

    documents: what to train on. dropped: with `reason` (the rule) and `detail`. failed: with
    `reason`, `request`, `response`. aside: outlines and the like that passed.
    """

    documents: list[Document] = field(default_factory=list)
    dropped: list[Document] = field(default_factory=list)
    failed: list[Document] = field(default_factory=list)
    aside: list[Document] = field(default_factory=list)

    def lists(self) -> Iterator[tuple[str, list[Document]]]:
        """Each list with its name, in the order of KINDS."""
        return ((kind, getattr(self, kind)) for kind in KINDS)

    @property
    def counts(self) -> Counts:
        """Documents; drops, failures and ends of completions by reason; tokens of each kind."""
        completed = [*self.documents, *self.dropped, *self.aside]
        return {
            "documents": len(self.documents),
            "dropped": _by(self.dropped, "reason"),
            "failed": len(self.failed),
            "failed_by_reason": _by(self.failed, "reason"),
            "intermediate": len(self.aside),
            "finish_reasons": _by(completed, "finish_reason"),
            "document_tokens": _total(self.documents, "completion_tokens"),
            "prompt_tokens": _total(completed, "prompt_tokens"),
            "completion_tokens": _total(completed, "completion_tokens"),
        }

    def extend(self, other: Generated) -> None:
        """Append another's lists."""
        for kind, documents in other.lists():
            getattr(self, kind).extend(documents)


def _total(documents: Iterable[Document], column: str) -> int:
    return sum(int(document.fields.get(column) or 0) for document in documents)


def _by(documents: Iterable[Document], column: str) -> dict[str, int]:
    """Documents by what a column says, without those that lack it."""
    found: dict[str, int] = {}
    for document in documents:
        value = document.fields.get(column)
        if value is not None:
            found[str(value)] = found.get(str(value), 0) + 1
    return found


def no_counts() -> Counts:
    """Counts of nothing."""
    return Generated().counts


def add_counts(total: Counts, more: Counts) -> None:
    """Add to `total` in place, by reason where counts have reasons."""
    for name, value in more.items():
        if isinstance(value, dict):
            for reason, count in value.items():
                total[name][reason] = total[name].get(reason, 0) + count
        else:
            total[name] += value


def sum_counts(counts: Iterable[Counts]) -> Counts:
    """Counts of several results as one."""
    total = no_counts()
    for one in counts:
        add_counts(total, one)
    return total
