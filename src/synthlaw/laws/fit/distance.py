"""The error of extrapolation as a table itself shows it: fits to its smaller runs, scored beyond.

All of these fits are one batch, in which runs beyond a cut have no weight. Each begins at the fit
to all runs, as resamples do: the best fit to few runs may lie far away in a flat valley, from where
it predicts anything (with it the intervals of benchmarks/laws_distance.py held 96%, not 93%).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from synthlaw.laws.fit.fitting import FitProblem, Solution
from synthlaw.laws.fit.misfit import local_noise
from synthlaw.laws.fit.uncertainty import refit
from synthlaw.laws.forms.power import Form
from synthlaw.laws.lawfit import COMPUTE
from synthlaw.laws.table import Runs

Array = NDArray[np.float64]

LEVELS_FOR_DRIFT = 3
"""Distinct sizes that a smaller fit has at least when its error beyond them is to count."""

ROOM = 2
"""Settings for each coefficient that a smaller fit has at least when forms are compared by it."""

ROUNDS, TINY = 5, 1e-14
"""Of reweighting; and what keeps an exact fit's weights finite."""

DRIFT_CUTS = 6
"""Smaller fits made, per size, to measure the error of extrapolation."""


def measured_drift(fit: FitProblem, solution: Solution, runs: Runs) -> dict[str, float]:
    """Relative error of the loss per factor of e beyond the runs, by size, and by compute.

    What a smaller fit errs beyond the noise between runs and its own sampling error is taken to
    grow with the distance: its square with the distance's square, a line through the origin. Only
    fits to at least half the sizes count, as smaller ones say little of the whole; a size with too
    few for that has no entry.
    """
    noise = local_noise(fit, solution, runs)
    found = {}
    for name, values in axes_of(runs, fit.form).items():
        errors, distances, sampling = rolling_errors(fit, solution, values)
        if len(errors):
            found[name] = _slope(errors, distances, noise**2 * (1 + sampling))
    return found


def _slope(errors: Array, distances: Array, known: Array) -> float:
    """s in e² = known + s²d², by least squares with the weights that s itself implies."""
    x, y = distances**2, errors**2 - known
    square = max(float(y.sum() / x.sum()), 0.0)
    for _ in range(ROUNDS):
        weights = x / (known + square * x + TINY) ** 2
        square = max(float((weights * y).sum() / (weights * x).sum()), 0.0)
    return math.sqrt(square)


def axes_of(runs: Runs, form: Form) -> dict[str, Array]:
    """What a law may be extrapolated along: the sizes that it reads, and their product."""
    axes: dict[str, Array] = {
        name: runs.numbers[name] for name in ("params", "tokens") if name in form.inputs
    }
    if len(axes) == 2:
        axes[COMPUTE] = axes["params"] * axes["tokens"]
    return axes


def rolling_errors(
    fit: FitProblem, solution: Solution, values: Array
) -> tuple[Array, Array, Array]:
    """Relative errors of smaller fits beyond their largest value; ln(value / largest); and the
    variance that sampling alone gives each prediction, for runs of variance 1."""
    cuts = np.array([cut for cut in _cuts(values) if _carries(fit, values <= cut)])
    if not len(cuts):
        return np.empty(0), np.empty(0), np.empty(0)
    inside = values[None] <= cuts[:, None]
    predicted, slopes = _refitted(fit, solution, inside)
    errors = predicted / fit.observed - 1
    distances = np.log(values[None] / cuts[:, None])
    relative = slopes / predicted[:, None]
    sampling = np.stack(
        [_sampling(*pair) for pair in zip(relative, inside * fit.weights, strict=True)]
    )
    kept = ~inside & np.isfinite(errors) & np.isfinite(sampling)
    return errors[kept], distances[kept], sampling[kept]


def errors_by_run(fit: FitProblem, solution: Solution, values: Array, carried: FitProblem) -> Array:
    """Mean |log error| at each run [points] over the smaller fits that it lies beyond.

    NaN where it lies beyond none; infinite where one fails. carried: the form of most coefficients
    among those compared, which every smaller fit must carry, so that all are asked the same.
    """
    cuts = np.array([cut for cut in _cuts(values) if _carries(carried, values <= cut, ROOM)])
    if not len(cuts):
        return np.full(len(values), np.nan)
    inside = values[None] <= cuts[:, None]
    predicted, _ = _refitted(fit, solution, inside)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.abs(np.log(predicted / fit.observed))
    errors = np.where(np.isfinite(errors), errors, np.inf)
    beyond = (~inside).sum(axis=0)
    total = np.where(inside, 0.0, errors).sum(axis=0)
    return np.where(beyond > 0, total / np.maximum(beyond, 1), np.nan)


def _refitted(
    fit: FitProblem, solution: Solution, inside: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Predictions of every run, and their derivatives, by the fits to the runs `inside` [cuts,
    points]."""
    problem = fit.problem(weights=inside * fit.weights)
    spread = float(np.median(np.abs(solution.residuals)))
    z = refit(problem, np.repeat(solution.z[None], len(inside), axis=0), max(spread, 1e-7))
    return fit.bound.evaluate(z)


def _sampling(slopes: Array, weights: Array) -> Array:
    """Variance [points] of predictions whose derivatives are `slopes` [coefficients, points]."""
    inverse = np.linalg.pinv((slopes * weights) @ slopes.T, rcond=1e-12, hermitian=True)
    result: Array = np.einsum("ip,ij,jp->p", slopes, inverse, slopes)
    return result


def _cuts(values: Array) -> Array:
    sizes = np.unique(values)
    first = max(LEVELS_FOR_DRIFT, (len(sizes) + 1) // 2) - 1
    sizes = sizes[first:-1]
    if len(sizes) > DRIFT_CUTS:
        sizes = sizes[np.unique(np.linspace(0, len(sizes) - 1, DRIFT_CUTS).astype(int))]
    return sizes


def _carries(fit: FitProblem, inside: NDArray[np.bool_], room: int = 1) -> bool:
    """Whether so many runs determine the form, with `room` settings for each coefficient."""
    inputs = [values[inside] for values in fit.inputs.values()]
    settings = set(zip(*inputs, strict=True))
    return len(settings) >= room * fit.free and all(len(np.unique(v)) > 1 for v in inputs)
