"""What one law pools: runs that differ in more than the law can see, and rows of one run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.numbers import read_number
from synthlaw.laws.columns import STATES, TEXTS, VARIABLES, plain
from synthlaw.laws.lawfit import Caution
from synthlaw.laws.table import Runs

IDS = ("run", "name", "id", "run_id", "run_name")
"""Columns that name a run."""

_ASIDE = {
    *(plain(name) for name in (*IDS, *TEXTS, *VARIABLES.values())),
    *STATES,
    *map(plain, ("notes", "user", "tags", "created", "updated", "runtime", "host", "hostname")),
    *map(plain, ("sweep", "job_id", "grid", "params", "n", "tokens", "d", "flops", "c", "compute")),
    *map(plain, ("params_total", "wall_clock", "commit", "version", "date", "time")),
}
"""Columns by which runs of one law may well differ."""


def pooled(
    runs: Runs, inputs: Sequence[str], apart: Sequence[str], used: set[str]
) -> list[Caution]:
    """Warnings about columns that differ between runs of one law at the same sizes.

    inputs: what the law reads. apart: the columns that part the laws. used: the columns that hold
    variables. A column of texts counts where the sizes of two of its values overlap; one of numbers
    where the same sizes come with different values.
    """
    sizes = [runs.numbers[name] for name in inputs]
    found = []
    for name, cells in runs.texts.items():
        if name in used or name in apart or plain(name) in _ASIDE or name.startswith("loss"):
            continue
        values, index = np.unique(cells, return_inverse=True)
        if not 2 <= len(values) <= len(cells) / 2:
            continue
        numeric = all(read_number(str(value)) is not None for value in values if value)
        if _same_sizes(index, sizes) if numeric else _overlap(index, len(values), sizes):
            some = ", ".join(str(value) or "''" for value in values[:4])
            found.append(
                Caution(
                    "pooled-runs",
                    f"runs with {len(values)} values of {name} ({some}"
                    f"{', …' if len(values) > 4 else ''}) share one law; part them with "
                    f"--by {name}, or take some with --where",
                )
            )
    return [*_unseen(runs, inputs), *found, *_repeated(runs)]


def _unseen(runs: Runs, inputs: Sequence[str]) -> list[Caution]:
    """Variables that differ between the runs and that the law does not read."""
    numbers, found = runs.numbers, []
    ratio = numbers.get("ratio")
    if ratio is not None and "ratio" not in inputs and len(np.unique(ratio[ratio >= 0])) > 1:
        found.append(
            Caution(
                "pooled-runs",
                f"runs with synthetic shares from {np.nanmin(ratio):.3g} to "
                f"{np.nanmax(ratio):.3g} share one law; part them with --by, or fit --law ratio",
            )
        )
    unique = numbers.get("unique_tokens")
    if unique is not None and "unique_tokens" not in inputs and "tokens" in numbers:
        repeats = int((numbers["tokens"] > 1.01 * unique).sum())
        if repeats:
            found.append(
                Caution(
                    "pooled-runs",
                    f"{repeats} of {len(runs)} runs repeat their tokens, which this law counts as "
                    "fresh; --law repetition tells them apart",
                )
            )
    return found


def _overlap(index: NDArray[np.intp], count: int, sizes: Sequence[NDArray[np.float64]]) -> bool:
    """Whether two values of a column have overlapping ranges in every size."""
    if count > 200:
        return False
    ends = [
        np.array([[size[index == k].min(), size[index == k].max()] for k in range(count)])
        for size in sizes
    ]
    meets = np.ones((count, count), dtype=bool)
    for pair in ends:
        meets &= (pair[:, None, 0] <= pair[None, :, 1]) & (pair[None, :, 0] <= pair[:, None, 1])
    return bool(meets.sum() > count)


def _same_sizes(index: NDArray[np.intp], sizes: Sequence[NDArray[np.float64]]) -> bool:
    """Whether runs at one setting differ in a column."""
    seen: dict[tuple[float, ...], int] = {}
    for k, setting in zip(index, zip(*sizes, strict=True), strict=True):
        if seen.setdefault(tuple(float(f"{v:.2g}") for v in setting), int(k)) != int(k):
            return True
    return False


def _repeated(runs: Runs) -> list[Caution]:
    """Several rows of one run are not several runs."""
    for name, cells in runs.texts.items():
        if plain(name) not in {plain(key) for key in IDS}:
            continue
        known = cells[cells != ""]
        distinct = len(np.unique(known))
        if 0 < distinct < len(known):
            return [
                Caution(
                    "repeated-runs",
                    f"{len(known)} rows belong to {distinct} runs by {name}: rows of one run are "
                    "no independent runs, and before the learning rate has come down a loss lies "
                    "above that of a run that ends there",
                )
            ]
    return []
