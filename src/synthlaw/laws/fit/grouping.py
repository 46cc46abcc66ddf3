"""Groups of runs that share one law: a mixture, at one model size or token budget if need be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from synthlaw.common.errors import UsageError
from synthlaw.laws.columns import listed
from synthlaw.laws.table import Runs

SAME_SIZE = 0.01
"""Sizes within 1% of each other are one size: budgets are rounded to whole batches."""

HELD = {"data": "params", "model": "tokens"}
"""The variable that a one-variable law does not see and that must not vary within it."""


@dataclass(frozen=True)
class Group:
    """Runs of one law. `at` holds the unseen variable's mean, as a plain count."""

    name: str
    at: dict[str, float]
    runs: Runs
    synthetic_type: str
    ratio: float | None

    def at_json(self, unit: Mapping[str, float]) -> dict[str, float]:
        """`at` in the law's unit."""
        return {name: value / unit[name] for name, value in self.at.items()}


def groups_of(runs: Runs, law: str, by: str | None, origin: str) -> list[Group]:
    """The groups of `runs` by column `by` and by the variable that `law` does not see.

    Raises UsageError when `by` names no column.
    """
    names = mixture_names(runs, by, origin)
    held = HELD.get(law, "")
    values = runs.numbers.get(held)
    found = []
    for name in dict.fromkeys(names):
        member = np.flatnonzero(names == name)
        parts = [member] if values is None else _split(member, values[member])
        for part in parts:
            keep = np.zeros(len(runs), dtype=bool)
            keep[part] = True
            found.append(_group(str(name), runs.where(keep), held))
    return found


def at_sizes(runs: Runs, at: Mapping[str, float], origin: str) -> Runs:
    """The runs whose variables have the values `at`, within SAME_SIZE.

    Raises UsageError for a variable that the table lacks and for a value that no run has.
    """
    for name, value in at.items():
        values = runs.numbers.get(name)
        if values is None:
            raise UsageError(
                f"{origin}: found --at {name}; expected one of {', '.join(runs.inputs())} "
                "(runs are chosen by another column with --where)"
            )
        keep = np.abs(values - value) <= SAME_SIZE * abs(value)
        if not keep.any():
            known = ", ".join(f"{v:g}" for v in np.unique(values[np.isfinite(values)])[:20])
            raise UsageError(
                f"{origin}: found no runs at {name} = {value:g}; expected {name} among {known}"
            )
        runs = runs.where(keep)
    return runs


def mixture_names(runs: Runs, by: str | None, origin: str) -> np.ndarray:
    """Each run's group name: the text in column `by` (or in several, parted by commas).

    Without `by` that is the mixture, and "all" where a table has no mixtures.
    """
    if by is None and "mixture" not in runs.texts:
        return np.full(len(runs), "all")
    column = by or "mixture"
    columns = [column] if column in runs.texts else [part.strip() for part in column.split(",")]
    for name in columns:
        if name not in runs.texts:
            known = listed(list(runs.texts))
            raise UsageError(f"{origin}: found the columns {known}; expected '{name}' (from --by)")
    if len(columns) == 1:
        return runs.texts[columns[0]]
    parts = zip(*[runs.texts[name] for name in columns], strict=True)
    return np.array([", ".join(part) for part in parts])


def _split(member: np.ndarray, values: np.ndarray) -> list[np.ndarray]:
    """Members whose values agree within SAME_SIZE, in ascending order; unknown values together."""
    parts: list[list[int]] = []
    first = np.nan
    for i in np.argsort(values, kind="stable"):
        new = not parts or (np.isnan(values[i]) != np.isnan(first))
        if new or values[i] > first * (1 + SAME_SIZE):
            parts.append([])
            first = values[i]
        parts[-1].append(member[i])
    return [np.sort(np.array(part)) for part in parts]


def _group(name: str, runs: Runs, held: str) -> Group:
    at = {}
    if held in runs.numbers and np.isfinite(runs.numbers[held]).all():
        at = {held: float(runs.numbers[held].mean())}
    kinds: Sequence[str] | np.ndarray = (
        np.unique(runs.texts["synthetic_type"]) if "synthetic_type" in runs.texts else []
    )
    ratios = runs.numbers.get("ratio", np.array([np.nan]))
    same = np.isfinite(ratios).all() and len(np.unique(ratios)) == 1
    return Group(
        name,
        at,
        runs,
        str(kinds[0]) if len(kinds) == 1 else "",
        float(ratios[0]) if same else None,
    )
