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
"""Bad records of one piece that are listed with their offsets; all are counted."""


@dataclass(frozen=True)
class InputFile:
    """One piece of input. kind: how it is read. path: file, URL or name. options: how, further."""

    kind: str
    path: str
    content: str
    options: dict[str, str] = field(default_factory=dict)
    size: int = 0

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rstrip("/").rpartition("/")[2]

    def key(self) -> list[Any]:
        """What determines the documents read from it; not the folder, so a corpus may move."""
        return [self.kind, self.name, self.content, dict(sorted(self.options.items()))]


def check_options(place: str, found: dict[str, str], known: tuple[str, ...]) -> None:
    """Raise UsageError for an option that does not exist."""
    for name in found:
        if name not in known:
            raise UsageError(f"{place}: found option '{name}'; expected {', '.join(known)}")


@dataclass
class ReadReport:
    """The report on one piece of input. skipped: counts by reason. bad: (offset, reason).

    on_read is told of every number of bytes that is read.
    """

    skipped: Counter[str] = field(default_factory=Counter)
    bad_count: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)
    on_read: Callable[[int], object] | None = None

    def skip(self, reason: str) -> None:
        """Count one record that is not wanted."""
        self.skipped[reason] += 1

    def bad_record(self, offset: int, reason: str) -> None:
        """Count one record that should be usable and is not."""
        self.bad_count += 1
        if len(self.bad) < MOST_LISTED:
            self.bad.append((offset, reason))

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "skipped": dict(sorted(self.skipped.items())),
            "bad_records": self.bad_count,
            "bad": [{"offset": offset, "reason": reason} for offset, reason in self.bad],
        }
