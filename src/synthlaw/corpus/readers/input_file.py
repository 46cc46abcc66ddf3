"""An input file, the unit that one worker reads, and the report on what was read from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthlaw.common.errors import UsageError

Digest = Callable[[Path], str]
"""SHA-256 of a local file; a caller may remember it."""

MOST_LISTED = 1000
"""Bad records of one piece that are listed with their places; all are counted."""

_MOST_REASONS = 50
_LONGEST_REASON = 300


class BrokenFileError(UsageError):
    """A file that cannot be read, or not to its end. It costs what it does not give, no more."""


class BadDocumentError(ValueError):
    """One record that is no document. It costs only itself."""


@dataclass(frozen=True)
class InputFile:
    """One piece of input. kind: how it is read. path: file, URL or name. options: how, further.

    label: what documents without an identity of their own are named after; the path's last part,
    with as much of the folders as tells it from the other pieces. It never names the machine.
    """

    kind: str
    path: str
    content: str
    options: dict[str, str] = field(default_factory=dict)
    size: int = 0
    label: str = ""

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.name)

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rstrip("/").rpartition("/")[2]

    @property
    def shown(self) -> str:
        """What people know it by: its path, and which part of it if it is one of several."""
        part = self.options.get("part")
        return self.path if part is None else f"{self.path} (part {part}, from 0)"

    def key(self) -> list[Any]:
        """What determines the documents read from it; not the folder, so a corpus may move."""
        return [self.kind, self.label, self.content, dict(sorted(self.options.items()))]


def check_options(place: str, found: dict[str, str], known: tuple[str, ...]) -> None:
    """Raise UsageError for an option that does not exist."""
    for name in found:
        if name not in known:
            raise UsageError(f"{place}: found option '{name}'; expected {', '.join(known)}")


@dataclass
class ReadReport:
    """The report on one piece of input.

    documents: how many it gave. skipped: counts by reason of what is not wanted. bad: places and
    reasons of what should be usable and is not; a place is a unit ("offset", "line", "row") and a
    number. broken: why the file was not read to its end, or gave nothing. strict: raise UsageError
    instead of counting what is bad. on_read is told of every number of bytes that is read.
    """

    strict: bool = False
    documents: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    bad_count: int = 0
    bad: list[tuple[str, int, str]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    broken: str | None = None
    on_read: Callable[[int], object] | None = None
    path: str = ""

    def skip(self, reason: str) -> None:
        """Count one record that is not wanted."""
        self.skipped[reason[:_LONGEST_REASON]] += 1

    def bad_record(self, unit: str, number: int, reason: str) -> None:
        """Count one record that should be usable and is not; raises UsageError when strict."""
        reason = reason[:_LONGEST_REASON]
        if self.strict:
            where = f"{self.path}:{number}" if unit == "line" else f"{self.path}:{unit} {number}"
            raise UsageError(f"{where}: {reason}")
        self.bad_count += 1
        known = reason in self.reasons or len(self.reasons) < _MOST_REASONS
        self.reasons[reason if known else "other reasons"] += 1
        if len(self.bad) < MOST_LISTED:
            self.bad.append((unit, number, reason))

    def broken_file(self, reason: str) -> None:
        """Say why the file is not read to its end; raises UsageError when strict."""
        if self.strict:
            raise UsageError(f"{self.path}: {reason}")
        self.broken = reason[:_LONGEST_REASON]

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "documents": self.documents,
            "skipped": dict(sorted(self.skipped.items())),
            "bad_records": self.bad_count,
            "bad": [{unit: number, "reason": reason} for unit, number, reason in self.bad],
            "reasons": dict(self.reasons.most_common()),
            "broken": self.broken,
        }
