"""Bootstrap refits and what is read from them: intervals of coefficients and predictions.

Two ways to resample. "runs" draws whole runs with replacement: it assumes nothing about the noise
and is right when there are many runs. "noise" keeps every run and draws new losses around the fit
with the residuals' spread, itself drawn anew from its own sampling distribution; with a linear
model that gives exact Student intervals. It is right for the few points of a small study, where
a resample of runs may not even hold enough distinct budgets to fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.seeds import derive_seed
from synthlaw.laws.fit.fitting import FitProblem, Solution
from synthlaw.laws.fit.solver import Problem, minimise_gradually

Array = NDArray[np.float64]

RUNS_PER_COEFFICIENT = 20
"""From this many runs per free coefficient on, runs are resampled; below, noise is."""

ASSUMED_NOISE = 0.01
"""Relative spread of losses taken when a fit leaves no degree of freedom to estimate it."""

_CHUNK = 2_000_000
"""Largest number of derivatives held at a time: problems x coefficients x points."""


@dataclass(frozen=True)
class Replicates:
    """Refits on resampled runs: z [count, K + P] in the fit's own reference."""

    z: Array
    method: str
    noise: float
    degrees: int


def noise_of(fit: FitProblem, solution: Solution) -> tuple[float, int]:
    """Spread of the residuals (log for log objectives, else nats) and its degrees of freedom.

    With no degree of freedom the spread is ASSUMED_NOISE, relative to the loss.
    """
    degrees = len(fit.observed) - fit.free
    if degrees < 1:
        size = 1.0 if fit.objective.log else float(np.mean(fit.observed))
        return ASSUMED_NOISE * size, 0
    total = float((fit.weights * solution.residuals**2).sum())
    return math.sqrt(total / degrees), degrees


def bootstrap(
    fit: FitProblem, solution: Solution, count: int, seed: int, method: str = "auto"
) -> Replicates:
    """Refit `count` resamples, in batches; the same seed gives the same replicates.

    method: "runs", "noise" (see the module's docstring), or "auto" to choose by the number of
    runs per free coefficient.
    """
    points = len(fit.observed)
    if method == "auto":
        method = "runs" if points >= RUNS_PER_COEFFICIENT * fit.free else "noise"
    noise, degrees = noise_of(fit, solution)
    generator = np.random.default_rng(derive_seed(seed, "laws", "bootstrap"))
    if method == "runs":
        draws = generator.multinomial(points, np.full(points, 1.0 / points), size=count)
        problem = fit.problem(weights=draws * fit.weights)
    else:
        problem = fit.problem(observed=_noisy(fit, solution, (noise, degrees), count, generator))
    start = np.repeat(solution.z[None], count, axis=0)
    z = refit(problem, start, noise)
    return Replicates(z, method, noise, degrees)


def _noisy(
    fit: FitProblem,
    solution: Solution,
    spread_known: tuple[float, int],
    count: int,
    generator: np.random.Generator,
) -> Array:
    """Losses [count, points] drawn around the fit, the spread being uncertain itself.

    spread_known: the residuals' spread and its degrees of freedom.
    """
    noise, degrees = spread_known
    predicted, _ = fit.bound.evaluate(solution.z[None])
    spread = np.full(count, noise)
    if degrees > 0:
        factor = np.sqrt(degrees / np.maximum(generator.chisquare(degrees, count), 1e-3))
        # One degree of freedom has no mean; past this cap the draws say nothing but "wide".
        spread = noise * np.minimum(factor, 30.0)
    if fit.objective.log:
        spread = np.minimum(spread, 0.3)
    draws = generator.standard_normal((count, len(fit.observed))) / np.sqrt(fit.weights)
    draws *= spread[:, None]
    if fit.objective.log:
        result: Array = predicted * np.exp(draws)
        return result
    return np.maximum(predicted + draws, 1e-3 * predicted)


def refit(problem: Problem, start: Array, spread: float) -> Array:
    """Refit a batch of resamples from `start` [M, K + P], a bounded amount of memory at a time.

    spread: typical size of the residuals, in the objective's scale.
    """
    points = problem.observed.shape[1]
    size = max(1, _CHUNK // (points * start.shape[1]))
    pieces = []
    with np.errstate(divide="ignore", over="ignore", invalid="ignore", under="ignore"):
        for first in range(0, len(start), size):
            keep = np.arange(first, min(first + size, len(start)))
            observed, weights = problem.rows(keep)
            part = replace(problem, observed=observed, weights=weights)
            z, _, _ = minimise_gradually(part, start[keep], spread, steps=40, tolerance=1e-6)
            pieces.append(z)
    return np.concatenate(pieces)
