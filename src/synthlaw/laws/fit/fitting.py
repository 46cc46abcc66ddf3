"""One fit: a variable-projection grid that needs no starting point, then the Newton polish.

With the shape parameters fixed, the best linear coefficients solve a small non-negative
least-squares problem (in relative residuals for objectives on log loss). Solving it on a grid of
shapes maps the whole landscape in milliseconds; the deepest cells are polished on the true
objective, first with a widened quadratic zone, then with the one asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthlaw.laws.fit.nonnegative import solve_nonnegative
from synthlaw.laws.fit.objectives import LAD_DELTA, Objective
from synthlaw.laws.fit.solver import Problem, minimise, minimise_gradually
from synthlaw.laws.forms.power import Bound, Form

Array = NDArray[np.float64]

_STARTS = 9
_NEAR = 5.0
_POLISHED = 4
_AGREE = 3


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
    """The global optimum of `fit`, as far as a grid can prove it: see benchmarks/laws_acceptance.

    A thin quadratic zone leaves shallow local minima along a flat valley, so the polish starts
    from cells all along it, and once more from where a widened zone leads.
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore", under="ignore"):
        starts = grid_points(fit)
        problem = fit.problem()
        final, spread = fit.objective, _spread(fit, starts[0])
        problem.objective = final.softened(2 * spread)
        soft, _, _ = minimise(problem, starts, steps=8, tolerance=1e-4)
        problem.objective = final
        if final.delta <= LAD_DELTA:
            near, values, _ = minimise_gradually(problem, soft, spread, steps=15, tolerance=1e-9)
        else:
            near, values, _ = minimise(problem, _distinct(soft), steps=15, tolerance=1e-9)
        close = near[np.argsort(values)[:_POLISHED]]
        if np.sum(values <= values.min() * (1 + 1e-6)) < _AGREE:
            led, _, _ = minimise_gradually(problem, soft[:1], spread, steps=15, tolerance=1e-9)
            close = np.concatenate([close, led])
        close = _distinct(close)
        polished, values, done = minimise(problem, close, steps=200)
        best = int(np.nanargmin(values))
        predicted, _ = fit.bound.evaluate(polished[best : best + 1])
    residuals = fit.objective.residuals(predicted[0], fit.observed)
    return Solution(
        fit.form,
        polished[best],
        fit.reference,
        float(values[best]),
        residuals,
        bool(done[best]),
    )


def _distinct(points: Array) -> Array:
    """Points [M, K + P] without those that agree with an earlier one within 0.1%."""
    kept: list[int] = []
    for i, point in enumerate(points):
        gap = np.abs(points[kept] - point) <= 1e-6 + 1e-3 * np.abs(point)
        if not gap.all(axis=1).any():
            kept.append(i)
    return points[kept]


def _spread(fit: FitProblem, z: Array) -> float:
    predicted, _ = fit.bound.evaluate(z[None])
    residuals = fit.objective.residuals(predicted[0], fit.observed)
    return float(max(np.median(np.abs(residuals)), 1e-7))


def grid_points(fit: FitProblem) -> Array:
    """Cells of the grid to start from as z [starts, K + P], the best first.

    Besides the best cell these are the best one at each value of each shape parameter, as far as
    they come near it: the floor of every valley, sampled along its length.
    """
    shapes = fit.form.grid()
    for p, name in enumerate(fit.form.shape):
        if name in fit.fixed:
            shapes[:, p] = fit.fixed[name]
    shapes = np.unique(shapes, axis=0)
    linear, values = project(fit, shapes)
    chosen = {int(np.argmin(values))}
    for axis in shapes.T:
        for value in np.unique(axis):
            members = np.flatnonzero(axis == value)
            chosen.add(int(members[np.argmin(values[members])]))
    order = sorted(chosen, key=lambda i: float(values[i]))
    near = [i for i in order if values[i] <= _NEAR * values[order[0]]]
    kept = near[:: max(1, math.ceil(len(near) / _STARTS))]
    return np.concatenate([linear[kept], shapes[kept]], axis=1)


def project(fit: FitProblem, shapes: Array) -> tuple[Array, Array]:
    """Best linear coefficients [G, K] for each shape [G, P], and the objective there [G].

    "Best" is weighted least squares in relative residuals (log objectives) or raw residuals.
    """
    bound: Bound = fit.bound
    columns = bound.columns(shapes)
    scale = 1.0 / fit.observed if fit.objective.log else np.ones_like(fit.observed)
    root = np.sqrt(fit.weights) * scale
    target = root * fit.observed
    names = fit.form.linear
    held = [k for k, name in enumerate(names) if name in fit.fixed]
    free = [k for k in range(len(names)) if k not in held]
    linear = np.zeros((len(shapes), len(names)))
    scaled = columns * root
    remaining = np.broadcast_to(target, (len(shapes), len(target)))
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
    values = fit.objective.value(residuals, fit.weights)
    return linear, np.where(np.isfinite(values), values, np.inf)
