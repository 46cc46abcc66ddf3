"""The plain way to fit a law, to measure ours against: L-BFGS from many starts."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from synthlaw.laws.fit.fitting import FitProblem

STARTS_4500 = tuple(
    itertools.product(
        (0.0, 5.0, 10.0, 15.0, 20.0, 25.0),
        (0.0, 5.0, 10.0, 15.0, 20.0, 25.0),
        (-1.0, -0.5, 0.0, 0.5, 1.0),
        (0.0, 0.5, 1.0, 1.5, 2.0),
        (0.0, 0.5, 1.0, 1.5, 2.0),
    )
)
"""log A, log B, log E, alpha, beta: the grid of Hoffmann et al. (arXiv 2203.15556, D.2)."""


POLISHED = 10
"""So many of the best starts are carried on to the end."""


def best_of_random_starts(problem: FitProblem, starts: int, seed: int) -> float:
    """The lowest objective that L-BFGS reaches from random points within the form's bounds.

    It gets every help: our scaled variables, our exact gradient, all starts side by side, and the
    best of them carried on by scipy's L-BFGS-B with tight tolerances.
    """
    solver = problem.problem()
    lower, upper = solver.lower, solver.upper
    K = len(problem.form.linear)
    low, high = problem.form.bounds[:, 0], problem.form.bounds[:, 1]
    generator = np.random.default_rng(seed)
    linear = float(np.mean(problem.observed)) * 10 ** generator.uniform(-3, 1, (starts, K))
    inside = generator.uniform(0.001, 0.999, (starts, len(low)))
    held = lower == upper

    def outward(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From logarithms of coefficients and logits of shapes to z, with dz/dx."""
        positive = np.exp(np.clip(x[:, :K], -300, 50))
        share = 1 / (1 + np.exp(-np.clip(x[:, K:], -30, 30)))
        z = np.concatenate([positive, low + (high - low) * share], axis=1)
        slope = np.concatenate([positive, (high - low) * share * (1 - share)], axis=1)
        return np.where(held, lower, z), np.where(held, 0.0, slope)

    def batch(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z, slope = outward(x)
        value, gradient = value_and_gradient(problem, z)
        return value, gradient * slope

    x = np.concatenate([np.log(linear), np.log(inside / (1 - inside))], axis=1)
    x, values = batched_lbfgs(batch, x)
    best = outward(x[np.argsort(values)[:POLISHED]])[0]

    def single(z: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = value_and_gradient(problem, z[None])
        return float(value[0]), gradient[0]

    bounds = list(zip(lower, upper, strict=True))
    options = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-12}
    done = [
        minimize(single, z, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        for z in best
    ]
    return min(float(values.min()), *[float(found.fun) for found in done])


def value_and_gradient(problem: FitProblem, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Objective [M] and gradient [M, K + P] at z [M, K + P]."""
    with np.errstate(all="ignore"):
        predicted, jacobian = problem.bound.evaluate(z)
        residuals = problem.objective.residuals(predicted, problem.observed)
        value = problem.objective.value(residuals, problem.weights)
        pull = problem.objective.slopes(residuals)[0] * problem.weights
        if problem.objective.log:
            pull = pull / predicted
        gradient = np.matmul(jacobian, pull[..., None])[..., 0]
    fine = np.isfinite(value) & np.isfinite(gradient).all(axis=1)
    return np.where(fine, value, 1e30), np.where(fine[:, None], gradient, 0.0)


def batched_lbfgs(
    function: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    x: np.ndarray,
    steps: int = 150,
    memory: int = 8,
) -> tuple[np.ndarray, np.ndarray]:
    """L-BFGS with backtracking from every row of x [M, p]; returns points and values."""
    value, gradient = function(x)
    S = np.zeros((memory, *x.shape))
    Y, R = np.zeros_like(S), np.zeros((memory, len(x)))
    for step in range(steps):
        direction = -_two_loops(gradient, S, Y, R)
        slope = (direction * gradient).sum(axis=1)
        uphill = slope >= 0
        direction[uphill], slope[uphill] = -gradient[uphill], -(gradient[uphill] ** 2).sum(axis=1)
        length = np.ones(len(x))
        if step == 0:
            length /= np.maximum(np.abs(direction).max(axis=1), 1e-12)
        waiting = np.arange(len(x))
        new_x, new_value, new_gradient = x.copy(), value.copy(), gradient.copy()
        for _ in range(25):
            trial = x[waiting] + length[waiting, None] * direction[waiting]
            found, slopes = function(trial)
            enough = found <= value[waiting] + 1e-4 * length[waiting] * slope[waiting]
            taken = waiting[enough]
            new_x[taken], new_value[taken] = trial[enough], found[enough]
            new_gradient[taken] = slopes[enough]
            waiting = waiting[~enough]
            if len(waiting) == 0:
                break
            length[waiting] *= 0.4
        S, Y, R = np.roll(S, 1, axis=0), np.roll(Y, 1, axis=0), np.roll(R, 1, axis=0)
        S[0], Y[0] = new_x - x, new_gradient - gradient
        product = (S[0] * Y[0]).sum(axis=1)
        R[0] = np.where(product > 1e-300, 1.0 / np.maximum(product, 1e-300), 0.0)
        stalled = np.all(value - new_value <= 1e-9 * np.abs(value))
        x, value, gradient = new_x, new_value, new_gradient
        if stalled:
            break
    return x, value


def _two_loops(gradient: np.ndarray, S: np.ndarray, Y: np.ndarray, R: np.ndarray) -> np.ndarray:
    """The inverse Hessian's product with the gradient (Nocedal 1980)."""
    q = gradient.copy()
    alphas = []
    for s, y, r in zip(S, Y, R, strict=True):
        alpha = r * (s * q).sum(axis=1)
        q -= alpha[:, None] * y
        alphas.append(alpha)
    size = (Y[0] ** 2).sum(axis=1) * R[0]
    q /= np.where(size > 0, size, 1.0)[:, None]
    for s, y, r, alpha in zip(S[::-1], Y[::-1], R[::-1], alphas[::-1], strict=True):
        q += s * (alpha - r * (y * q).sum(axis=1))[:, None]
    return q


def plain_grid(
    params: np.ndarray, tokens: np.ndarray, losses: np.ndarray, starts: tuple = STARTS_4500
) -> tuple[float, np.ndarray]:
    """The usual code: log-sum-exp, mean Huber loss, unscaled variables, scipy's L-BFGS-B.

    Returns the lowest objective (a sum) and the five variables there.
    """
    logs = np.log(params), np.log(tokens), np.log(losses)

    def objective(x: np.ndarray) -> float:
        a, b, e, alpha, beta = x
        parts = np.stack([a - alpha * logs[0], b - beta * logs[1], np.full(len(losses), e)])
        top = parts.max(axis=0)
        residual = top + np.log(np.exp(parts - top).sum(axis=0)) - logs[2]
        size = np.abs(residual)
        return float(np.where(size <= 1e-3, 0.5 * size**2, 1e-3 * (size - 5e-4)).sum())

    best, where = np.inf, np.zeros(5)
    for start in starts:
        found = minimize(objective, np.array(start), method="L-BFGS-B")
        if found.fun < best:
            best, where = float(found.fun), found.x
    return best, where
