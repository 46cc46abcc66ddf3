"""Rows of a table as read, with their lines; the bounds of what is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from synthlaw.common.errors import UsageError

MOST_CELLS = 3_000_000
"""Rows times columns of the largest table that is read."""

EXPECTED = "expected a table of runs as CSV, TSV, JSON, JSONL or Parquet"
"""What a message asks for."""


@dataclass
class Rows:
    """Rows by column, each with its line in the file.

    semicolons: cells are parted by semicolons, which is where commas begin fractions.
    notes: what was passed over while reading.
    """

    rows: list[dict[str, Any]]
    lines: list[int]
    semicolons: bool = False
    notes: list[str] = field(default_factory=list)


def frame_of(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Rows as a pandas DataFrame. Raises UsageError where pandas is not installed."""
    try:
        import pandas as pd
    except ImportError:
        raise UsageError("to_frame: found no pandas; expected it: pip install pandas") from None
    return pd.DataFrame(list(rows))
