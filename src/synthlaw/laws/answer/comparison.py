"""Mixtures against each other: equal-loss speed-up, crossings, ranks, floors, consistency.

Every quantity is computed for the fit and for each of its replicates. Two mixtures were trained in
different runs, so replicate i of one may be paired with replicate i of the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.laws.lawfit import LawFit

Array = NDArray[np.float64]

SEARCHED, SEARCH_STEPS = (1e5, 1e18), 800
"""Sizes among which one that reaches a loss is looked for, where no formula gives it."""


def vectors_of(law: LawFit) -> Array:
    """The fit's coefficients followed by its replicates': [1 + count, K + P]."""
    own = law.vector[None]
    return own if law.replicates is None else np.concatenate([own, law.replicates])


def paired(*laws: LawFit) -> list[Array]:
    """`vectors_of` each law, with as many rows as the shortest has; row 0 is the fit itself.

    A law without replicates is repeated, so that its partner's uncertainty still counts.
    """
    stacks = [vectors_of(law) for law in laws]
    longest = [len(s) for s in stacks if len(s) > 1]
    rows = min(longest) if longest else 1
    return [s[:rows] if len(s) > 1 else np.repeat(s, rows, axis=0) for s in stacks]


def decompose(
    law: LawFit, vectors: Array, variable: str, others: Mapping[str, float]
) -> tuple[Array, Array, Array]:
    """The law as rest + scale * (variable / unit)^-exponent for each vector: three [M] arrays."""
    form = law.form
    exponent, carriers = form.carriers(variable)
    units = law.unit_of(form.inputs)
    inputs = {
        name: np.array([units[name] if name == variable else float(others[name])])
        for name in form.inputs
    }
    K = len(form.linear)
    columns = form.bind(inputs, units).columns(vectors[:, K:])[:, :, 0]
    parts = vectors[:, :K] * columns
    scale = parts[:, carriers].sum(axis=1)
    return parts.sum(axis=1) - scale, scale, vectors[:, K + exponent]


def size_to_reach(
    law: LawFit, vectors: Array, loss: Array, variable: str, others: Mapping[str, float]
) -> Array:
    """The value of `variable` at which each vector's law reaches `loss` [M]; infinite if never."""
    try:
        rest, scale, exponent = decompose(law, vectors, variable, others)
    except UsageError:
        return _searched(law, vectors, loss, variable, others)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        ratio = scale / (loss - rest)
        size = np.where(loss > rest, ratio ** (1.0 / exponent), np.inf)
    unit = law.unit_of((variable,))[variable]
    result: Array = size * unit
    return result


def _searched(
    law: LawFit, vectors: Array, loss: Array, variable: str, others: Mapping[str, float]
) -> Array:
    """`size_to_reach` for a form that is no plain power: where it first falls to `loss`.

    Interpolated on a fine grid of logarithms, to about 1e-4 of the size; zero where the smallest
    size searched does already, infinite where none does.
    """
    grid = np.geomspace(*SEARCHED, SEARCH_STEPS)
    table = law.evaluate(vectors, {**others, variable: grid})
    below = table <= loss[:, None]
    after = np.maximum(np.argmax(below, axis=1), 1)
    row = np.arange(len(vectors))
    high, low = table[row, after - 1], table[row, after]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = (high - loss) / (high - low)
    step = math.log(grid[1] / grid[0])
    found = grid[after - 1] * np.exp(part * step)
    found = np.where(below[:, 0], 0.0, found)
    return np.where(below.any(axis=1), found, np.inf)


def losses(law: LawFit, vectors: Array, **inputs: float) -> Array:
    """Expected loss of each vector [M] at one setting."""
    return law.evaluate(vectors, inputs)[:, 0]


def speedup(baseline: LawFit, mixture: LawFit, tokens: float, **others: float) -> dict[str, Any]:
    """Equal-loss speed-up of `mixture` over `baseline` at `tokens` (a plain count).

    "speedup" is the paper's sense: tokens divided by the mixture's tokens that reach the
    baseline's loss at `tokens` (0 when the mixture never does). "inverse" is the baseline's tokens
    that reach the mixture's loss at `tokens`, divided by `tokens`: infinite, given as null with
    "inverse_infinite", when the baseline never gets there. Intervals where there are replicates.
    """
    base, mix = paired(baseline, mixture)
    base_loss = losses(baseline, base, tokens=tokens, **others)
    mix_loss = losses(mixture, mix, tokens=tokens, **others)
    needed = size_to_reach(mixture, mix, base_loss, "tokens", others)
    forward = tokens / needed
    inverse = size_to_reach(baseline, base, mix_loss, "tokens", others) / tokens
    return {
        "baseline_loss": float(base_loss[0]),
        "loss": float(mix_loss[0]),
        "tokens_to_baseline_loss": finite(needed[0]),
        "speedup": float(forward[0]),
        "interval": spread(mixture, forward),
        "inverse": finite(inverse[0]),
        "inverse_infinite": bool(np.isinf(inverse[0])),
        "inverse_interval": spread(mixture, inverse),
        "probability_faster": float(np.mean(forward[1:] > 1)) if len(forward) > 1 else None,
    }


def spread(law: LawFit, values: Array) -> list[float | None] | None:
    """Interval of values[1:], the replicates, at the law's level; open ends are null."""
    if len(values) < 2:
        return None
    low, high = law.interval_of(values[1:])
    return [finite(low), finite(high)]


def finite(value: float) -> float | None:
    """The value for JSON, null when it is not finite."""
    return float(value) if math.isfinite(value) else None


@dataclass(frozen=True)
class Crossing:
    """Where two laws give the same loss. `probability`: share of replicates that cross there."""

    at: float
    interval: tuple[float, float] | None
    probability: float | None
    below_after: str
    inside: bool

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "at": self.at,
            "interval": list(self.interval) if self.interval else None,
            "probability": self.probability,
            "lower_loss_beyond": self.below_after,
            "inside_runs": self.inside,
        }


def crossings(
    first: LawFit,
    second: LawFit,
    variable: str,
    *,
    low: float | None = None,
    high: float | None = None,
    **others: float,
) -> list[Crossing]:
    """Where the two laws cross along `variable` between `low` and `high` (plain counts).

    The default range is a tenth of the smallest run to a hundred times the largest; an empty list
    says that they do not cross in it. `others` are the further variables that the laws read.
    """
    start, end = _search_range(first, second, variable, low, high)
    grid = np.geomspace(start, end, 600)
    pair = paired(first, second)
    laws = (first, second)

    def gap(x: Array, rows: slice) -> Array:
        a, b = (
            law.evaluate(vectors[rows], {**others, variable: x})
            for law, vectors in zip(laws, pair, strict=True)
        )
        return a - b

    table = gap(grid, slice(None))
    found = []
    for j in _changes(table[0]):
        at = _bisect(lambda x: float(gap(np.array([x]), slice(0, 1))[0, 0]), grid[j], grid[j + 1])
        falling = table[0, j] < 0
        near = _nearest_roots(table[1:], grid, at, falling)
        known = near[np.isfinite(near)]
        inside = any(_within(law, variable, at) for law in laws)
        pair_interval = None
        if len(known) >= 20:
            ends = np.quantile(known, [(1 - first.level) / 2, (1 + first.level) / 2])
            pair_interval = (float(ends[0]), float(ends[1]))
        found.append(
            Crossing(
                at,
                pair_interval,
                len(known) / len(near) if len(near) else None,
                first.mixture if not falling else second.mixture,
                inside,
            )
        )
    return found


def _search_range(
    first: LawFit, second: LawFit, variable: str, low: float | None, high: float | None
) -> tuple[float, float]:
    ends = [law.ranges[variable] for law in (first, second) if variable in law.ranges]
    if (low is None or high is None) and not ends:
        raise UsageError(f"crossing in {variable}: found no range; expected `low` and `high`")
    start = low if low is not None else min(e[0] for e in ends) / 10
    end = high if high is not None else max(e[1] for e in ends) * 100
    if not 0 < start < end:
        raise UsageError(f"crossing in {variable}: found range {start:g} to {end:g}")
    return start, end


def _within(law: LawFit, variable: str, value: float) -> bool:
    low, high = law.ranges.get(variable, (math.inf, -math.inf))
    return low <= value <= high


def _changes(values: Array) -> NDArray[np.intp]:
    """Indexes j where values[j] and values[j + 1] differ in sign."""
    sign = np.sign(values)
    return np.flatnonzero(sign[:-1] * sign[1:] < 0)


def _bisect(function: Any, low: float, high: float) -> float:
    rising = function(low) < 0
    for _ in range(200):
        middle = math.sqrt(low * high)
        if middle in (low, high):
            break
        if (function(middle) < 0) == rising:
            low = middle
        else:
            high = middle
    return math.sqrt(low * high)


def _nearest_roots(table: Array, grid: Array, at: float, rising: bool) -> Array:
    """For each replicate, its crossing in the same direction that is nearest to `at`, or NaN."""
    log = np.log(grid)
    found = np.full(len(table), np.nan)
    for i, row in enumerate(table):
        j = _changes(row)
        j = j[(row[j] < 0) == rising]
        if len(j) == 0:
            continue
        # The gap is nearly linear in the logarithm within one of 600 cells.
        roots = log[j] - row[j] * (log[j + 1] - log[j]) / (row[j + 1] - row[j])
        found[i] = math.exp(roots[np.argmin(np.abs(roots - math.log(at)))])
    return found


def ranking(laws: Sequence[LawFit], **inputs: float) -> list[dict[str, Any]]:
    """Laws by expected loss at one setting, with the probability that each is the best.

    Probabilities are shares of the paired replicates; null without replicates.
    """
    table = np.stack(
        [losses(law, vectors, **inputs) for law, vectors in zip(laws, paired(*laws), strict=True)]
    )
    counts = np.bincount(np.argmin(table[:, 1:], axis=0), minlength=len(laws))
    share = counts / max(table.shape[1] - 1, 1)
    order = np.argsort(table[:, 0], kind="stable")
    return [
        {
            "mixture": laws[i].mixture,
            "loss": float(table[i, 0]),
            "interval": spread(laws[i], table[i]),
            "probability_best": float(share[i]) if table.shape[1] > 1 else None,
        }
        for i in order
    ]


def floor_difference(first: LawFit, second: LawFit) -> dict[str, Any]:
    """E of `first` minus E of `second` (nats per token), with an interval."""
    a, b = paired(first, second)
    names_a, names_b = list(first.coefficients), list(second.coefficients)
    if "E" not in names_a or "E" not in names_b:
        raise UsageError("difference of floors: expected laws with a single floor E")
    gap = a[:, names_a.index("E")] - b[:, names_b.index("E")]
    return {"difference": float(gap[0]), "interval": spread(first, gap)}


def consistency(data: LawFit, model: LawFit, tolerance: float = 0.01) -> dict[str, Any]:
    """Do a data law (at one model size) and a model law (at one budget) agree where they meet?

    They meet at the data law's size N0 and the model law's budget D0, where both predict the loss.
    If loss is additive, E_data - A/N0^alpha and E_model - B/D0^beta are two estimates of one joint
    floor. Inconsistent: further apart than `tolerance` (relative) and, where there are replicates,
    with an interval of the difference that excludes zero. Raises UsageError without a shared point.
    """
    if "params" not in data.at or "tokens" not in model.at:
        raise UsageError(
            f"consistency of '{data.mixture}': expected a data law at one model size and a model "
            "law at one token budget"
        )
    params = data.at["params"] * data.unit["params"]
    tokens = model.at["tokens"] * model.unit["tokens"]
    of_data, of_model = paired(data, model)
    by_data = losses(data, of_data, tokens=tokens)
    by_model = losses(model, of_model, params=params)
    floor_data, _, _ = decompose(data, of_data, "tokens", {})
    floor_model, _, _ = decompose(model, of_model, "params", {})
    relative = (by_model - by_data) / by_data
    bounds = spread(data, relative)
    apart = True
    if bounds is not None and bounds[0] is not None and bounds[1] is not None:
        apart = bounds[0] > 0 or bounds[1] < 0
    return {
        "mixture": data.mixture,
        "params": params,
        "tokens": tokens,
        "loss_by_data_law": float(by_data[0]),
        "loss_by_model_law": float(by_model[0]),
        "difference": float(by_model[0] - by_data[0]),
        "relative": float(relative[0]),
        "interval": bounds,
        "joint_floor_from_data_law": float(floor_data[0] - (by_model[0] - floor_model[0])),
        "joint_floor_from_model_law": float(floor_model[0] - (by_data[0] - floor_data[0])),
        "consistent": not (abs(float(relative[0])) > tolerance and apart),
    }
