"""What happened while a piece of input was read: what was skipped, and what was bad and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MOST_LISTED = 1000
"""Bad records of one piece that are listed with their offsets; all are counted."""


@dataclass
class Reading:
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
