"""The plain way to fit a law, to measure ours against: L-BFGS from many starts."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.optimize import minimize

from synthlaw.laws.fitting import FitProblem

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


def best_of_random_starts(problem: FitProblem, starts: int, seed: int) -> float:
    """The lowest objective that L-BFGS-B reaches from random points within the form's bounds.

    It gets every help: our scaled variables, our exact gradient, tight tolerances.
    """
    solver = problem.problem()
    lower, upper = solver.lower, solver.upper
    K = len(problem.form.linear)
    scale = float(np.mean(problem.observed))
    generator = np.random.default_rng(seed)
    best = np.inf

    def value_and_gradient(z: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(all="ignore"):
            predicted, jacobian = problem.bound.evaluate(z[None])
            residuals = problem.objective.residuals(predicted, problem.observed[None])
            value = float(problem.objective.value(residuals, problem.weights)[0])
            pull = problem.objective.slopes(residuals)[0] * problem.weights
            if problem.objective.log:
                pull = pull / predicted
            gradient = jacobian[0] @ pull[0]
        if not np.isfinite(value):
            return 1e30, np.zeros_like(z)
        return value, gradient

    for _ in range(starts):
        linear = scale * 10 ** generator.uniform(-3, 1, K)
        shape = generator.uniform(problem.form.bounds[:, 0], problem.form.bounds[:, 1])
        start = np.clip(np.concatenate([linear, shape]), lower, upper)
        found = minimize(
            value_and_gradient, start, jac=True, method="L-BFGS-B",
            bounds=list(zip(lower, upper, strict=True)),
            options={"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-12},
        )  # fmt: skip
        best = min(best, float(found.fun))
    return best


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
