"""The runs table: one row per training run, from a CSV, a Parquet file or rows in memory.

Columns: params, tokens, loss (nats per token), mixture, seed, synthetic_type, synthetic_ratio,
unique_tokens, status; any further column is kept for --holdout and --by. A row that cannot be used
is never dropped in silence: it is listed with its line and the reason.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError

Array = NDArray[np.float64]

VARIABLES = {
    "params": "params",
    "tokens": "tokens",
    "loss": "loss",
    "ratio": "synthetic_ratio",
    "unique_tokens": "unique_tokens",
}
"""Names of the numbers that laws read, and the columns that hold them by default."""

FINISHED = ("", "done", "finished", "complete", "completed", "ok", "none", "nan")
"""Values of `status` that let a run into a fit; any other, "diverged" say, keeps it out."""


@dataclass(frozen=True)
class LeftOut:
    """A row that takes no part in any fit, and why. `row` is its line in the file."""

    row: int
    reason: str

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"row": self.row, "reason": self.reason}


@dataclass(frozen=True)
class Runs:
    """Usable runs as columns. `numbers` maps variable names to positive arrays (ratio: 0 to 1)."""

    numbers: dict[str, Array]
    texts: dict[str, NDArray[np.str_]]
    lines: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, keep: NDArray[np.bool_]) -> Runs:
        """The runs for which `keep` is true."""
        return Runs(
            {name: values[keep] for name, values in self.numbers.items()},
            {name: values[keep] for name, values in self.texts.items()},
            self.lines[keep],
        )

    def inputs(self) -> dict[str, Array]:
        """The numbers that forms read: all but the loss."""
        return {name: values for name, values in self.numbers.items() if name != "loss"}

    @property
    def loss(self) -> Array:
        """Observed losses, nats per token."""
        return self.numbers["loss"]


class RunsTable:
    """Rows as read, with the names of the columns that hold the laws' variables."""

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        origin: str,
        columns: Mapping[str, str] | None = None,
        lines: Sequence[int] | None = None,
    ) -> None:
        """columns: overrides of VARIABLES, such as {"params": "N"}. lines: of rows in the file."""
        self.rows = rows
        self.origin = origin
        self.names = list(dict.fromkeys(name for row in rows for name in row))
        self.columns = {**VARIABLES, **{k: v for k, v in (columns or {}).items() if v}}
        self.lines = list(lines) if lines is not None else list(range(1, len(rows) + 1))

    @classmethod
    def from_rows(
        cls, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str] | None = None
    ) -> RunsTable:
        """A table of rows in memory; lines count from 1."""
        return cls(rows, "rows", columns)

    @classmethod
    def read(cls, path: Path, columns: Mapping[str, str] | None = None) -> RunsTable:
        """A table from a CSV (comma, semicolon or tab) or Parquet file.

        Raises UsageError for a file that is missing, empty, not UTF-8 or without rows.
        """
        if not path.is_file():
            raise UsageError(f"{path}: found no such file; expected a table of runs")
        if path.suffix.lower() == ".parquet":
            return cls(_parquet_rows(path), str(path), columns)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise UsageError(f"{path}: found bytes that are not UTF-8 ({error.reason})") from None
        header = text.split("\n", 1)[0]
        if not header.strip():
            raise UsageError(
                f"{path}: found an empty file; expected a header line and one row "
                "per run with columns such as params,tokens,loss"
            )
        comma = max(",;\t", key=header.count)
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=comma)
        rows, lines = [], []
        for row in reader:
            rows.append({k.strip(): v for k, v in row.items() if isinstance(k, str)})
            lines.append(reader.line_num)
        if not rows:
            raise UsageError(f"{path}: found a header but no rows; expected one row per run")
        return cls(rows, str(path), columns, lines)

    def has(self, variable: str) -> bool:
        """Whether the column for `variable` exists."""
        return self.columns.get(variable, variable) in self.names

    def usable(self, needs: Sequence[str]) -> tuple[Runs, list[LeftOut]]:
        """Runs with a usable number for the loss and each of `needs`, and those left out.

        Raises UsageError when a needed column is missing or no row is usable.
        """
        wanted = list(dict.fromkeys([*needs, "loss"]))
        for variable in wanted:
            if not self.has(variable):
                raise UsageError(self._missing(variable))
        optional = [v for v in VARIABLES if v not in wanted and self.has(v)]
        kept: list[int] = []
        left: list[LeftOut] = []
        values: list[dict[str, float]] = []
        for index, row in enumerate(self.rows):
            numbers, reason = self._numbers(row, wanted)
            if reason:
                left.append(LeftOut(self.lines[index], reason))
                continue
            for variable in optional:
                number, bad = _number(row.get(self.columns[variable]), variable)
                numbers[variable] = math.nan if bad else number
            kept.append(index)
            values.append(numbers)
        if not kept:
            first = f": line {left[0].row}: {left[0].reason}" if left else ""
            raise UsageError(f"{self.origin}: found no usable run among {len(self.rows)}{first}")
        names = [*wanted, *optional]
        texts = {
            name: np.array([_text(self.rows[i].get(name)) for i in kept]) for name in self.names
        }
        numbers_by_name = {name: np.array([v[name] for v in values]) for name in names}
        return Runs(numbers_by_name, texts, np.array([self.lines[i] for i in kept])), left

    def _missing(self, variable: str) -> str:
        found = ", ".join(self.names[:12]) or "nothing"
        return (
            f"{self.origin}: found the columns {found}; expected a column "
            f"'{self.columns[variable]}' (another name is given by --{variable}-column)"
        )

    def _numbers(
        self, row: Mapping[str, Any], wanted: Sequence[str]
    ) -> tuple[dict[str, float], str]:
        """The row's numbers and, when it must stay out, the reason."""
        status = _text(row.get("status")).strip().lower()
        if status not in FINISHED:
            return {}, f"status is '{status}', not 'done'"
        numbers = {}
        for variable in wanted:
            column = self.columns[variable]
            numbers[variable], bad = _number(row.get(column), variable)
            if bad:
                return {}, f"{column}: {bad}"
        return numbers, ""


def _parquet_rows(path: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as error:
        first = str(error).split("\n", 1)[0]
        raise UsageError(f"{path}: found no readable Parquet table ({first})") from None
    if not rows:
        raise UsageError(f"{path}: found a table without rows; expected one row per run")
    return rows


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell)


def _number(cell: Any, variable: str) -> tuple[float, str]:
    """A cell as a number and, when it is unusable, what was found and what would be right."""
    right = "a share from 0 to 1" if variable == "ratio" else "a positive finite number"
    if _text(cell).strip() == "":
        return math.nan, f"found an empty cell; expected {right}"
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return math.nan, f"found {_text(cell)[:40]!r}; expected {right}"
    fits = 0 <= number <= 1 if variable == "ratio" else number > 0
    if not math.isfinite(number) or not fits:
        return math.nan, f"found {number:g}; expected {right}"
    return number, ""
