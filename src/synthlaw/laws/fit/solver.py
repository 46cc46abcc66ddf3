"""The polish: a batched, damped, bound-respecting Newton method with exact derivatives.

One call runs many problems side by side: several starts of one fit, or thousands of bootstrap
resamples. Each keeps its own damping; those that have converged leave the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthlaw.laws.fit.objectives import Objective
from synthlaw.laws.forms.power import Bound

Array = NDArray[np.float64]

_LARGEST_DAMPING = 1e10
_SHRINK = 4.0


@dataclass
class Problem:
    """Observed losses [1 or M, points] and weights [1 or M, points] of a form on its points."""

    bound: Bound
    observed: Array
    weights: Array
    objective: Objective
    lower: Array
    upper: Array

    def rows(self, keep: NDArray[np.intp]) -> tuple[Array, Array]:
        """Observed and weights of the problems `keep`; shared ones stay shared."""
        observed = self.observed if len(self.observed) == 1 else self.observed[keep]
        weights = self.weights if len(self.weights) == 1 else self.weights[keep]
        return observed, weights


@dataclass
class _State:
    """Where each running problem stands: its point, value, gradient and curvature."""

    z: Array
    value: Array
    gradient: Array
    hessian: Array
    diagonal: Array


def _derivatives(problem: Problem, z: Array, keep: NDArray[np.intp]) -> _State:
    observed, weights = problem.rows(keep)
    predicted, jacobian = problem.bound.evaluate(z)
    objective = problem.objective
    residuals = objective.residuals(predicted, observed)
    first, second, majorant = objective.slopes(residuals)
    pull = first * weights
    if objective.log:
        # d log(p) = dp / p, and d2 log(p) = d2p / p - (dp / p)(dp / p)'.
        inverse = 1.0 / predicted
        bend = problem.bound.curvature(z, jacobian, pull * inverse)
        jacobian *= inverse[:, None, :]
        inner = second * weights - pull
    else:
        bend = problem.bound.curvature(z, jacobian, pull)
        inner = second * weights
    gradient = np.matmul(jacobian, pull[..., None])[..., 0]
    hessian = np.matmul(jacobian * inner[:, None, :], jacobian.swapaxes(1, 2)) + bend
    diagonal = np.einsum("mpi,mpi,mi->mp", jacobian, jacobian, majorant * weights, optimize=False)
    return _State(z, objective.value(residuals, weights), gradient, hessian, diagonal)


def _step(state: _State, damping: Array, lower: Array, upper: Array) -> tuple[Array, Array]:
    """Next points and the decrease that the quadratic model promises, bounds respected."""
    held = ((state.z <= lower) & (state.gradient > 0)) | ((state.z >= upper) & (state.gradient < 0))
    held |= lower == upper
    floor = 1e-12 * state.diagonal.max(axis=1, keepdims=True) + 1e-300
    diagonal = np.maximum(state.diagonal, floor)
    free = ~(held[:, :, None] | held[:, None, :])
    # Solved in variables scaled by the majorant's curvature: damping then means the same for all.
    root = np.sqrt(diagonal)
    scaled = np.where(free, state.hessian / (root[:, :, None] * root[:, None, :]), 0.0)
    index = np.arange(scaled.shape[1])
    scaled[:, index, index] += np.where(held, 1.0, damping[:, None])
    right = np.where(held, 0.0, -state.gradient / root)
    try:
        solved = np.linalg.solve(scaled, right[..., None])[..., 0]
    except np.linalg.LinAlgError:
        scaled[:, index, index] += 1e-10
        solved = np.linalg.solve(scaled, right[..., None])[..., 0]
    move = np.where(held, 0.0, solved / root)
    promised = -0.5 * (state.gradient * move).sum(axis=1)
    return np.clip(state.z + move, lower, upper), promised


def minimise(
    problem: Problem, start: Array, *, steps: int = 60, tolerance: float = 1e-13
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Minimise from start [M, K + P]; returns points, values and whether each converged.

    A problem has converged when a nearly undamped Newton step promises a relative decrease below
    `tolerance`, or when no step of any length decreases the value in floating point.
    """
    count = len(start)
    z = np.clip(start, problem.lower, problem.upper)
    best, values = z.copy(), np.full(count, np.inf)
    converged = np.zeros(count, dtype=bool)
    running = np.arange(count)
    state = _derivatives(problem, z, running)
    damping = np.full(count, 1e-3)
    values[:] = state.value
    for _ in range(steps):
        trial, promised = _step(state, damping, problem.lower, problem.upper)
        new = _derivatives(problem, trial, running)
        better = (new.value < state.value) & np.isfinite(new.value)
        gained = np.where(better, state.value - new.value, 0.0)
        small = tolerance * np.maximum(state.value, 1e-300)
        # A tiny gain only ends the run when the Newton model, not the damping, made it tiny.
        done = (promised >= 0) & (promised <= small) & (gained <= small) & (damping <= 1e-2)
        done |= ~better & (damping >= _LARGEST_DAMPING)
        done |= state.value <= 1e-26
        damping = np.where(better, np.maximum(damping * 0.1, 1e-12), np.maximum(damping, 1e-6) * 8)
        state = new if better.all() else _chosen(better, new, state)
        best[running], values[running] = state.z, state.value
        if done.any():
            converged[running[done]] = True
            left = ~done
            running, damping, state = running[left], damping[left], _kept(state, left)
            if len(running) == 0:
                break
    return best, values, converged


def _chosen(better: NDArray[np.bool_], new: _State, old: _State) -> _State:
    """Problem by problem the new state where it is better, else the old one."""
    return _State(
        np.where(better[:, None], new.z, old.z),
        np.where(better, new.value, old.value),
        np.where(better[:, None], new.gradient, old.gradient),
        np.where(better[:, None, None], new.hessian, old.hessian),
        np.where(better[:, None], new.diagonal, old.diagonal),
    )


def _kept(state: _State, left: NDArray[np.bool_]) -> _State:
    """The states of the problems that go on."""
    return _State(
        state.z[left],
        state.value[left],
        state.gradient[left],
        state.hessian[left],
        state.diagonal[left],
    )


def minimise_gradually(
    problem: Problem, start: Array, spread: float, *, steps: int = 60, tolerance: float = 1e-13
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """`minimise` with a quadratic zone that starts at twice `spread` and shrinks to the asked one.

    With residuals far wider than the zone the objective is a polyhedron: each Newton step crosses
    a few of its edges, and a narrow valley takes thousands. Widened, it is nearly a parabola.
    `spread` is the typical size of residuals, in the objective's scale.
    """
    final, points = problem.objective, start
    delta = 2.0 * spread
    try:
        while delta > 1.5 * final.delta:
            problem.objective = final.softened(delta)
            points, _, _ = minimise(problem, points, steps=25, tolerance=1e-5)
            delta /= _SHRINK
    finally:
        problem.objective = final
    return minimise(problem, points, steps=steps, tolerance=tolerance)
