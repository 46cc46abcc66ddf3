"""Wide tables of mixtures: a weight column per source, losses beside them or in a second file."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import read_number
from synthlaw.laws.columns import Columns, listed
from synthlaw.laws.formats import read_rows
from synthlaw.laws.table import LeftOut

Array = NDArray[np.float64]

SUM_WITHIN = 0.02
"""Weights of a run that miss one (or a hundred percent) by more are no shares: the run is left
out. Closer ones are divided by their sum, as published tables are rounded."""


@dataclass(frozen=True)
class MixtureRuns:
    """Usable runs: shares [points, sources], sizes by name (those that the table has), losses."""

    sources: tuple[str, ...]
    shares: Array
    sizes: dict[str, Array]
    losses: dict[str, Array]
    left_out: list[LeftOut] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.shares)


def joined(
    rows: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]], place: str
) -> list[dict[str, Any]]:
    """Rows of two tables of the same runs side by side, matched by the columns they share.

    Raises UsageError when they share none, when a key stands twice, or when no run is in both.
    """
    names = set(rows[0]) & set(other[0])
    keys = sorted(names)
    if not keys:
        raise UsageError(
            f"{place}: found no column that both tables have; expected one that names the run"
        )
    found: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for row in other:
        key = tuple(str(row.get(name)) for name in keys)
        if key in found:
            raise UsageError(f"{place}: found {keys[0]} {key[0]!r} twice; expected a row per run")
        found[key] = row
    pairs = [(row, found.get(tuple(str(row.get(name)) for name in keys))) for row in rows]
    result = [{**row, **match} for row, match in pairs if match is not None]
    if not result:
        raise UsageError(f"{place}: found no run that both tables have by {', '.join(keys)}")
    return result


def read_mixtures(
    source: str | PathLike[str] | Sequence[Mapping[str, Any]],
    weights: str,
    losses: Sequence[str],
    *,
    join: str | PathLike[str] | None = None,
    columns: Mapping[str, str | None] | None = None,
) -> MixtureRuns:
    """The runs of a wide table.

    source: a file, or rows. weights: a pattern of the weight columns, such as "train_*", or their
    names by commas. losses: names or patterns of columns of losses. join: a second file of the
    same runs. columns: names of the columns of params and tokens, where they are not usual ones.

    Raises UsageError for columns that are not there and a table without a usable run.
    """
    origin = str(source) if isinstance(source, str | PathLike) else "rows"
    rows, lines = _rows(source)
    if join is not None:
        rows = list(joined(rows, _rows(join)[0], Path(join).name))
        lines = list(range(1, len(rows) + 1))
    names = list(dict.fromkeys(name for row in rows for name in row))
    sources = _matching(names, weights.split(","), origin, "--weights")
    targets = [n for n in _matching(names, losses, origin, "--loss-column") if n not in sources]
    given = {name: value for name, value in (columns or {}).items() if value}
    rest = [name for name in names if name not in sources and name not in targets]
    chosen = Columns(rest, given, origin).chosen
    sizes = {n: chosen[n] for n in ("params", "tokens") if n in chosen}
    wanted = [*sources, *targets, *(column.name for column in sizes.values())]
    numbers, left, kept = [], [], []
    for row, line in zip(rows, lines, strict=True):
        values = [_number(row.get(name)) for name in wanted]
        bad = _fault(values, wanted, len(sources))
        if bad:
            left.append(LeftOut(line, bad))
        else:
            kept.append(line)
            numbers.append(values)
    if not numbers:
        first = f": line {left[0].row}: {left[0].reason}" if left else ""
        raise UsageError(f"{origin}: found no usable run among {len(rows)}{first}")
    table, k = np.array(numbers, dtype=float), len(sources)
    at = k + len(targets)
    return MixtureRuns(
        tuple(_short(sources)),
        table[:, :k] / table[:, :k].sum(axis=1, keepdims=True),
        {n: table[:, at + i] * column.scale for i, (n, column) in enumerate(sizes.items())},
        {name: table[:, k + i] for i, name in enumerate(targets)},
        left,
    )


def _rows(
    source: str | PathLike[str] | Sequence[Mapping[str, Any]],
) -> tuple[list[Mapping[str, Any]], list[int]]:
    if isinstance(source, str | PathLike):
        found = read_rows(Path(source))
        return list(found.rows), found.lines
    if not source:
        raise UsageError("rows: found none; expected one row per run")
    return list(source), list(range(1, len(source) + 1))


def _matching(names: Sequence[str], wanted: Sequence[str], origin: str, option: str) -> list[str]:
    found = []
    for pattern in (text.strip() for text in wanted):
        match = [n for n in names if n == pattern or fnmatch.fnmatchcase(n, pattern)]
        if not match:
            raise UsageError(
                f"{origin}: found the columns {listed(names)}; expected '{pattern}' ({option})"
            )
        found += match
    return list(dict.fromkeys(found))


def _short(names: Sequence[str]) -> list[str]:
    """Names of columns without the beginning, up to a separator, that all of them share."""
    same = takewhile(lambda signs: len(set(signs)) == 1, zip(*names, strict=False))
    shared = "".join(signs[0] for signs in same)
    cut = max(shared.rfind(sign) for sign in "_/.-") + 1
    return [name[cut:] for name in names] if len(names) > 1 else list(names)


def _number(cell: Any) -> float:
    if cell is None or isinstance(cell, bool):
        return np.nan
    if isinstance(cell, str):
        percent = cell.strip().endswith("%")
        found = read_number(cell.strip().removesuffix("%"))
        return np.nan if found is None else found / (100 if percent else 1)
    try:
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def _fault(values: Sequence[float], names: Sequence[str], sources: int) -> str:
    """Why a run cannot be used; "" when it can."""
    for place, (value, name) in enumerate(zip(values, names, strict=True)):
        share = place < sources
        if not np.isfinite(value) or value < 0 or (value == 0 and not share):
            right = "a weight of 0 or more" if share else "a positive finite number"
            return f"{name}: found {value:g}; expected {right}"
    total = sum(values[:sources])
    if not any(abs(total / whole - 1) <= SUM_WITHIN for whole in (1.0, 100.0)):
        return f"weights: found a sum of {total:.4g}; expected 1 or 100"
    return ""
