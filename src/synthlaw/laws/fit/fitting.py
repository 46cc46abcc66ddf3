"""One fit: a variable-projection grid that needs no starting point, then the Newton polish.

With the shape parameters fixed, the best linear coefficients solve a small non-negative
least-squares problem (in relative residuals for objectives on log loss). Solving it on a grid of
shapes maps the whole landscape in milliseconds; the deepest cells are polished on the true
objective, first with a widened quadratic zone, then with the one asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthlaw.laws.fit.nonnegative import solve_nonnegative
from synthlaw.laws.fit.objectives import LAD_DELTA, Objective
from synthlaw.laws.fit.solver import Problem, minimise, minimise_gradually
from synthlaw.laws.forms.power import Form

Array = NDArray[np.float64]

_STARTS = 9
_NEAR = 5.0
_POLISHED = 4
_AGREE = 3

_CHUNK = 2_000_000
"""Largest number of derivatives held at a time: starts x coefficients x points."""


@dataclass(frozen=True)
class Solution:
    """An optimum: z is [K + P], linear coefficients relative to `reference`, then shape."""

    form: Form
    z: Array
    reference: Mapping[str, float]
    value: float
    residuals: Array
    converged: bool

    @property
    def linear(self) -> Array:
        """Linear coefficients relative to `reference` [K]."""
        return self.z[: len(self.form.linear)]

    @property
    def shape(self) -> Array:
        """Shape parameters [P]."""
        return self.z[len(self.form.linear) :]

    def coefficients(self, unit: Mapping[str, float]) -> dict[str, float]:
        """Named coefficients for sizes measured in `unit`, in z's order."""
        vector = coefficient_vectors(self.form, self.z[None], self.reference, unit)[0]
        names = [*self.form.linear, *self.form.shape]
        return {name: float(value) for name, value in zip(names, vector, strict=True)}


@dataclass
class FitProblem:
    """Runs, weights, objective and fixed coefficients of one fit.

    inputs: variables by name, each [points]. fixed: coefficients by name, for sizes in `unit`.
    """

    form: Form
    inputs: Mapping[str, Array]
    observed: Array
    weights: Array
    objective: Objective
    unit: Mapping[str, float]
    fixed: Mapping[str, float]

    def __post_init__(self) -> None:
        sizes = [name for name in self.form.inputs if name != "ratio"]
        # A linear coefficient can be held only in the unit in which it is given.
        held = any(name in self.fixed for name in self.form.linear)
        self.reference = {
            name: float(self.unit[name] if held else self.inputs[name].min()) for name in sizes
        }
        self.bound = self.form.bind(self.inputs, self.reference)

    @property
    def free(self) -> int:
        """Number of coefficients that the fit may choose."""
        names = [*self.form.linear, *self.form.shape]
        return sum(name not in self.fixed for name in names)

    def limits(self) -> tuple[Array, Array]:
        """Lower and upper bounds of z; equal where a coefficient is fixed."""
        K = len(self.form.linear)
        lower = np.concatenate([np.zeros(K), self.form.bounds[:, 0]])
        upper = np.concatenate([np.full(K, np.inf), self.form.bounds[:, 1]])
        for i, name in enumerate([*self.form.linear, *self.form.shape]):
            if name in self.fixed:
                lower[i] = upper[i] = self.fixed[name]
        return lower, upper

    def problem(self, observed: Array | None = None, weights: Array | None = None) -> Problem:
        """The solver's problem, for these or for resampled losses and weights [M, points]."""
        lower, upper = self.limits()
        return Problem(
            self.bound,
            self.observed[None] if observed is None else observed,
            self.weights[None] if weights is None else weights,
            self.objective,
            lower,
            upper,
        )


def coefficient_vectors(
    form: Form, z: Array, reference: Mapping[str, float], unit: Mapping[str, float]
) -> Array:
    """Coefficients [M, K + P] for sizes in `unit` from z relative to `reference`."""
    K = len(form.linear)
    factors = form.scale(z[:, K:], reference, unit)
    return np.concatenate([z[:, :K] * factors, z[:, K:]], axis=1)


def solve(fit: FitProblem) -> Solution:
    """The global optimum, as far as a grid can prove it: see benchmarks/laws_acceptance."""
    return solve_parts(fit, fit.weights[None])[0]


def solve_parts(fit: FitProblem, weights: Array) -> list[Solution]:
    """The optimum of `fit` with each of several rows of weights [M, points]; 0 leaves a run out.

    Small fits cost what the calls cost, so all are polished side by side.
    """
    size = max(1, _CHUNK // (weights.shape[1] * _STARTS * len(fit.limits()[0])))
    with np.errstate(divide="ignore", over="ignore", invalid="ignore", under="ignore"):
        return [
            solution
            for first in range(0, len(weights), size)
            for solution in _solve_together(fit, weights[first : first + size])
        ]


def _solve_together(fit: FitProblem, weights: Array) -> list[Solution]:
    """`solve_parts` for as many parts as fit into memory.

    A thin quadratic zone leaves shallow local minima along a flat valley, so the polish starts
    from cells all along it, and once more from where a widened zone leads.
    """
    starts = grid_points(fit, weights)
    spread = max(_spread(fit, own[0], row) for own, row in zip(starts, weights, strict=True))
    soft, _, _ = _polished(fit, weights, starts, steps=8, tolerance=1e-4, delta=2 * spread)
    if fit.objective.delta <= LAD_DELTA:
        near = _polished(fit, weights, soft, steps=15, tolerance=1e-9, spread=spread)
    else:
        near = _polished(fit, weights, list(map(_distinct, soft)), steps=15, tolerance=1e-9)
    close = [z[np.argsort(values)[:_POLISHED]] for z, values, _ in zip(*near, strict=True)]
    unsure = [
        part
        for part, values in enumerate(near[1])
        if np.sum(values <= values.min() * (1 + 1e-6)) < _AGREE
    ]
    if unsure:
        alone = [soft[part][:1] for part in unsure]
        led, _, _ = _polished(fit, weights[unsure], alone, steps=15, tolerance=1e-9, spread=spread)
        for part, point in zip(unsure, led, strict=True):
            close[part] = np.concatenate([close[part], point])
    ends = _polished(fit, weights, list(map(_distinct, close)), steps=200)
    return [_solution(fit, *end) for end in zip(*ends, strict=True)]


def _polished(
    fit: FitProblem,
    weights: Array,
    starts: Sequence[Array],
    *,
    steps: int,
    tolerance: float = 1e-13,
    delta: float = 0.0,
    spread: float | None = None,
) -> tuple[list[Array], list[Array], list[Array]]:
    """Points, values and convergence of each part's starts [.., K + P], minimised in one batch.

    delta: least width of the quadratic zone. spread: as `minimise_gradually`, where it is to.
    """
    owner = np.repeat(np.arange(len(starts)), [len(own) for own in starts])
    problem = fit.problem(weights=weights[owner])
    problem.objective = problem.objective.softened(delta)
    z = np.concatenate(starts)
    if spread is None:
        found = minimise(problem, z, steps=steps, tolerance=tolerance)
    else:
        found = minimise_gradually(problem, z, spread, steps=steps, tolerance=tolerance)
    points, values, done = ([each[owner == part] for part in range(len(starts))] for each in found)
    return points, values, done


def _solution(fit: FitProblem, z: Array, values: Array, done: Array) -> Solution:
    """The best of some optima."""
    best = int(np.nanargmin(values))
    predicted, _ = fit.bound.evaluate(z[best : best + 1])
    residuals = fit.objective.residuals(predicted[0], fit.observed)
    value, converged = float(values[best]), bool(done[best])
    return Solution(fit.form, z[best], fit.reference, value, residuals, converged)


def _distinct(points: Array) -> Array:
    """Points [M, K + P] without those that agree with an earlier one within 0.1%."""
    kept: list[int] = []
    for i, point in enumerate(points):
        gap = np.abs(points[kept] - point) <= 1e-6 + 1e-3 * np.abs(point)
        if not gap.all(axis=1).any():
            kept.append(i)
    return points[kept]


def _spread(fit: FitProblem, z: Array, weights: Array) -> float:
    """Typical size of the residuals of the runs that have a weight [points]."""
    predicted, _ = fit.bound.evaluate(z[None])
    residuals = fit.objective.residuals(predicted[0], fit.observed)
    return float(max(np.median(np.abs(residuals[weights > 0])), 1e-7))


def grid_points(fit: FitProblem, weights: Array) -> list[Array]:
    """Cells of the grid to start from as z [starts, K + P], the best first, by row of weights.

    Besides the best cell these are the best one at each value of each shape parameter, as far as
    they come near it: the floor of every valley, sampled along its length.
    """
    shapes = fit.form.grid()
    for p, name in enumerate(fit.form.shape):
        if name in fit.fixed:
            shapes[:, p] = fit.fixed[name]
    shapes = np.unique(shapes, axis=0)
    columns = fit.bound.columns(shapes)
    lines = [np.unique(axis, return_inverse=True)[1].reshape(-1) for axis in shapes.T]
    return [_valleys(fit, shapes, columns, lines, row) for row in weights]


def _valleys(
    fit: FitProblem,
    shapes: Array,
    columns: Array,
    lines: Sequence[NDArray[np.intp]],
    weights: Array,
) -> Array:
    """The cells of one part. lines: for each shape parameter, which of its values a cell has."""
    linear, values = project(fit, columns, weights)
    order = np.argsort(values, kind="stable")
    chosen = {int(order[0])}
    for line in lines:
        chosen |= set(order[np.unique(line[order], return_index=True)[1]].tolist())
    ranked = sorted(chosen, key=lambda i: float(values[i]))
    near = [i for i in ranked if values[i] <= _NEAR * values[ranked[0]]]
    kept = near[:: max(1, math.ceil(len(near) / _STARTS))]
    return np.concatenate([linear[kept], shapes[kept]], axis=1)


def project(fit: FitProblem, columns: Array, weights: Array) -> tuple[Array, Array]:
    """Best linear coefficients [G, K] for each shape's columns [G, K, points], and the objective
    there [G].

    "Best" is weighted least squares in relative residuals (log objectives) or raw residuals.
    """
    scale = 1.0 / fit.observed if fit.objective.log else np.ones_like(fit.observed)
    root = np.sqrt(weights) * scale
    target = root * fit.observed
    names = fit.form.linear
    held = [k for k, name in enumerate(names) if name in fit.fixed]
    free = [k for k in range(len(names)) if k not in held]
    linear = np.zeros((len(columns), len(names)))
    scaled = columns * root
    remaining = np.broadcast_to(target, (len(columns), len(target)))
    for k in held:
        linear[:, k] = fit.fixed[names[k]]
        remaining = remaining - linear[:, k, None] * scaled[:, k]
    if free:
        part = scaled[:, free]
        gram = part @ part.swapaxes(1, 2)
        moment = (part @ remaining[..., None])[..., 0]
        linear[:, free] = solve_nonnegative(gram, moment)
    predicted = np.matmul(linear[:, None, :], columns)[:, 0]
    residuals = fit.objective.residuals(predicted, fit.observed)
    values = fit.objective.value(residuals, weights)
    return linear, np.where(np.isfinite(values), values, np.inf)
