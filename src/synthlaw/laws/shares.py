"""The good share of synthetic data at (N, D): the minimum of a ratio law's curve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.laws.lawfit import LawFit

Array = NDArray[np.float64]

STEPS = 501
"""Shares at which curves are compared; the minimum is then refined by a parabola."""


def tried_shares(law: LawFit, largest: float | None = None) -> Array:
    """Shares from the smallest to the largest that was run: a curve says nothing beyond them."""
    _require_ratio(law)
    low, high = law.ranges.get("ratio", (0.0, 1.0))
    top = high if largest is None else largest
    if not 0 < top <= 1 or top < low:
        raise UsageError(
            f"largest share: found {top!r}; expected one above {low:g}, the smallest run, up to 1"
        )
    return np.linspace(low, top, STEPS)


def tried_natural(law: LawFit) -> bool:
    """Whether natural text alone is among the runs of a ratio law."""
    return law.ranges.get("ratio", (0.0, 1.0))[0] == 0


def curve(law: LawFit, shares: Array | None = None, **sizes: float) -> dict[str, Array]:
    """Expected loss against the share: {"ratio", "loss", "low", "high"}, each [shares]."""
    ratio = tried_shares(law) if shares is None else np.asarray(shares, dtype=float)
    _require_ratio(law)
    loss = law.predict(ratio=ratio, **sizes)
    low = high = loss
    if law.replicates is not None:
        table = law.predict_replicates(ratio=ratio, **sizes)
        low, high = law.interval_of_many(table)
    return {"ratio": ratio, "loss": loss, "low": low, "high": high}


def best_ratio(
    law: LawFit,
    *,
    largest: float | None = None,
    worth: Callable[[float], float] | None = None,
    **sizes: float,
) -> dict[str, Any]:
    """The share with the lowest expected loss at `sizes` (plain counts), among those tried.

    largest: the largest share to consider, by default the largest among the runs. worth: fresh
    tokens that the budget is worth at a share, when natural tokens must repeat; takes the place of
    sizes["tokens"].

    "interval" covers the minimum, over every form that held-out error cannot tell from the chosen
    one; "as_good" is the region around the minimum where the loss is not significantly higher;
    "gain" is the loss saved against natural text, null where that was not run. Raises UsageError
    for a law without a share.
    """
    grid = tried_shares(law, largest)
    inputs = _inputs(grid, sizes, worth)
    losses = law.predict(**inputs)[None]
    best = float(minima(grid, losses)[0])
    result: dict[str, Any] = {
        "ratio": best,
        "interval": None,
        "as_good": None,
        "loss": float(np.interp(best, grid, losses[0])),
        "gain": float(losses[0, 0] - losses[0].min()) if tried_natural(law) else None,
        "gain_interval": None,
        "at_edge": bool(best <= grid[0] + 1e-9 or best >= grid[-1] - 1e-9),
    }
    if law.replicates is None:
        return result
    table = np.concatenate([form.predict_replicates(**inputs) for form in (law, *law.rivals)])
    result["interval"] = list(law.interval_of(minima(grid, table)))
    low, _ = law.interval_of_many(table - table[:, [int(np.argmin(losses[0]))]])
    good = _region(low <= 0, int(np.argmin(losses[0])))
    result["as_good"] = [float(grid[good[0]]), float(grid[good[1]])]
    if tried_natural(law):
        result["gain_interval"] = list(law.interval_of(table[:, 0] - table.min(axis=1)))
    return result


def _inputs(
    grid: Array, sizes: Mapping[str, float], worth: Callable[[float], float] | None
) -> dict[str, Array]:
    """Inputs of a law at every share of `grid`."""
    inputs = {name: np.full(len(grid), value) for name, value in sizes.items()}
    if worth is not None:
        inputs["tokens"] = np.array([worth(float(share)) for share in grid])
    return {**inputs, "ratio": grid}


def movement(law: LawFit, variable: str, **sizes: float) -> dict[str, Any]:
    """How the best share changes as `variable` goes from its smallest to its largest run."""
    _require_ratio(law)
    if variable not in law.form.inputs:
        raise UsageError(f"the {law.form.name} law of '{law.mixture}' does not read {variable}")
    grid = tried_shares(law)
    forms = (law, *law.rivals)

    def shares(value: float) -> Array:
        inputs = _inputs(grid, {**sizes, variable: value}, None)
        tables = [form.predict_replicates(**inputs) for form in forms]
        return minima(grid, np.concatenate([law.predict(**inputs)[None], *tables]))

    low, high = law.ranges[variable]
    before, after = shares(low), shares(high)
    change = after - before
    return {
        "variable": variable,
        "from": low,
        "to": high,
        "ratio_from": float(before[0]),
        "ratio_to": float(after[0]),
        "change": float(change[0]),
        "interval": list(law.interval_of(change[1:])) if law.replicates is not None else None,
    }


def minima(grid: Array, table: Array) -> Array:
    """Where each row of `table` [rows, shares] is smallest, refined by a parabola inside."""
    j = np.argmin(table, axis=1)
    inner = np.clip(j, 1, len(grid) - 2)
    rows = np.arange(len(table))
    left, middle, right = (table[rows, inner + k] for k in (-1, 0, 1))
    bend = left - 2 * middle + right
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(bend > 0, 0.5 * (left - right) / bend, 0.0)
    step = grid[1] - grid[0]
    refined = grid[inner] + np.clip(shift, -1, 1) * step
    edge = (j == 0) | (j == len(grid) - 1)
    result: Array = np.where(edge, grid[j], refined)
    return result


def _region(good: NDArray[np.bool_], start: int) -> tuple[int, int]:
    """The run of true values around `start`, which counts as true."""
    first = last = start
    while first > 0 and good[first - 1]:
        first -= 1
    while last < len(good) - 1 and good[last + 1]:
        last += 1
    return first, last


def _require_ratio(law: LawFit) -> None:
    if not law.reads("ratio"):
        raise UsageError(
            f"the {law.law} law of '{law.mixture}' has no synthetic share; "
            "expected a law fitted with --law ratio"
        )
