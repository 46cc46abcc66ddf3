"""The runs table: one row per training run, from a file or from rows in memory.

Columns: params, tokens, loss (nats per token), mixture, seed, synthetic_type, synthetic_ratio,
unique_tokens, status; any further column is kept for --holdout, --where and --by. A row that cannot
be used is never dropped in silence: it is listed with its line and the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.laws.cells import decimal_of, number_of
from synthlaw.laws.columns import VARIABLES, Columns, listed, renamed
from synthlaw.laws.formats import read_rows
from synthlaw.laws.rows import frame_of

Array = NDArray[np.float64]

FINISHED = frozenset(
    {"", "done", "finished", "complete", "completed", "ok", "success", "succeeded", "none", "nan"}
)
"""States that let a run into a fit; any other, "crashed" say, keeps it out."""

SMALL = {"params": 1e4, "tokens": 1e6}
"""A table with nothing above these seems to count in millions or billions."""

PERPLEXITY = 20.0
"""Most losses above this are hardly nats per token: guessing among a million tokens costs 13.8."""


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
    """Rows as read, with the columns that hold the laws' variables."""

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        origin: str,
        columns: Mapping[str, str | None] | None = None,
        lines: Sequence[int] | None = None,
        *,
        semicolons: bool = False,
        notes: Sequence[str] = (),
    ) -> None:
        """columns: overrides of VARIABLES, such as {"params": "N"}. lines: of rows in the file.

        notes: what reading the file had to say. Raises UsageError for columns that are not there.
        """
        names = list(dict.fromkeys(name for row in rows for name in row))
        new = {k: v for k, v in renamed(names).items() if k not in set((columns or {}).values())}
        self.rows = [{new.get(k, k): v for k, v in row.items()} for row in rows] if new else rows
        self.origin = origin
        self.names = [new.get(name, name) for name in names]
        self.columns = Columns(self.names, columns or {}, origin)
        self.lines = list(lines) if lines is not None else list(range(1, len(rows) + 1))
        self.semicolons = semicolons
        self.notes = [*notes, *self.columns.notes]

    @classmethod
    def from_rows(
        cls, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str | None] | None = None
    ) -> RunsTable:
        """A table of rows in memory; lines count from 1."""
        return cls(rows, "rows", columns)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        read = ", ".join(f"{name} from '{c.name}'" for name, c in self.columns.chosen.items())
        return f"<{len(self)} runs of {self.origin}: {read}>"

    def to_frame(self) -> Any:
        """A pandas DataFrame of all columns, as read. Needs pandas."""
        return frame_of([dict(row) for row in self.rows])

    @classmethod
    def read(
        cls, path: str | PathLike[str], columns: Mapping[str, str | None] | None = None
    ) -> RunsTable:
        """A table from a file: delimited text, JSON, JSONL, Parquet or Arrow, compressed or not.

        Raises UsageError for a file that is missing, empty, unreadable or without rows.
        """
        found = read_rows(Path(path))
        return cls(
            found.rows,
            str(path),
            columns,
            found.lines,
            semicolons=found.semicolons,
            notes=found.notes,
        )

    def has(self, variable: str) -> bool:
        """Whether there is a column for `variable`, or several that could be it."""
        return variable in self.columns.chosen or variable in self.columns.rivals

    def usable(
        self, needs: Sequence[str], separates: Sequence[str] = ()
    ) -> tuple[Runs, list[LeftOut]]:
        """Runs with a usable number for the loss and each of `needs`, and those left out.

        separates: further variables that part the runs where the table has them. Raises UsageError
        when a needed column is missing, when several could be it, or when no row is usable.
        """
        wanted = list(dict.fromkeys([*needs, "loss"]))
        for variable in [*wanted, *separates]:
            self._require_one(variable, needed=variable in wanted)
        optional = [v for v in self.columns.chosen if v not in wanted]
        decimal = decimal_of(
            self._numeric_cells([*wanted, *optional]), self.semicolons, self.origin
        )
        kept: list[int] = []
        left: list[LeftOut] = []
        found: dict[str, list[float]] = {name: [] for name in [*wanted, *optional]}
        for index, row in enumerate(self.rows):
            numbers, reason = {}, self._unfinished(row)
            for variable in wanted if not reason else ():
                column = self.columns.chosen[variable]
                number, bad = number_of(row.get(column.name), variable, column, decimal)
                numbers[variable] = number
                reason = reason or (f"{column.name}: {bad}" if bad else "")
            if reason:
                left.append(LeftOut(self.lines[index], reason))
                continue
            for variable in optional:
                column = self.columns.chosen[variable]
                numbers[variable], _ = number_of(row.get(column.name), variable, column, decimal)
            for variable, number in numbers.items():
                found[variable].append(number)
            kept.append(index)
        if not kept:
            first = f": line {left[0].row}: {left[0].reason}" if left else ""
            raise UsageError(f"{self.origin}: found no usable run among {len(self.rows)}{first}")
        arrays = {name: np.array(values) for name, values in found.items()}
        texts = {
            name: np.array([_text(self.rows[i].get(name)) for i in kept]) for name in self.names
        }
        return Runs(arrays, texts, np.array([self.lines[i] for i in kept])), left

    def remarks(self, runs: Runs) -> list[str]:
        """What a reader must know of how the table was read; beside what is left out."""
        found = list(self.notes)
        seeds = len(np.unique(runs.texts["seed"])) if "seed" in runs.texts else 0
        if seeds > 1:
            found.append(f"runs of {seeds} seeds: those of one setting count as its repeats")
        for name, limit in SMALL.items():
            if name in runs.numbers and np.nanmax(runs.numbers[name], initial=0.0) < limit:
                found.append(
                    f"no {name} above {np.nanmax(runs.numbers[name], initial=0.0):.3g}: if these "
                    f"are millions or billions, write 7B or call the column '{name} (B)'"
                )
        if np.median(runs.loss) > PERPLEXITY:
            found.append(
                f"the median loss is {np.median(runs.loss):.3g}, more than nats per token can "
                "be: a perplexity belongs in a column called perplexity or ppl"
            )
        for name in VARIABLES:
            values = runs.numbers.get(name)
            if values is not None and (bad := int(np.isnan(values).sum())):
                found.append(f"{name} is unknown in {bad} of {len(values)} usable runs")
        return found

    def _require_one(self, variable: str, *, needed: bool) -> None:
        option = f"--{variable.replace('_', '-')}-column"
        rivals = self.columns.rivals.get(variable)
        if rivals:
            raise UsageError(
                f"{self.origin}: found {len(rivals)} columns that could be {variable} "
                f"({', '.join(rivals)}); expected one (name it with {option})"
            )
        if needed and variable not in self.columns.chosen:
            curves = any(name.endswith("__MIN") for name in self.names)
            hint = "; this looks like a chart's export: export the table of runs" if curves else ""
            raise UsageError(
                f"{self.origin}: found the columns {listed(self.names)}; expected a column "
                f"'{VARIABLES[variable]}' (another name is given by {option}){hint}"
            )

    def _numeric_cells(self, variables: Sequence[str]) -> list[tuple[str, str, str]]:
        """(text, variable, place) of every cell that is read as a number from text."""
        return [
            (cell, variable, f"line {self.lines[i]}, column {self.columns.chosen[variable].name}")
            for i, row in enumerate(self.rows)
            for variable in variables
            if isinstance(cell := row.get(self.columns.chosen[variable].name), str)
        ]

    def _unfinished(self, row: Mapping[str, Any]) -> str:
        """Why the row's state keeps it out; "" when it does not."""
        for name in self.columns.states:
            state = _text(row.get(name)).strip().lower()
            if state not in FINISHED:
                return f"{name.lower()} is '{state[:40]}', not 'done'"
        return ""


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell).strip()
