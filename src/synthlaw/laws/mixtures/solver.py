"""Least squares on the logarithm of the loss by Levenberg and Marquardt's method."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from synthlaw.laws.mixtures.forms import MixtureForm

Array = NDArray[np.float64]

RIDGE = 1e-9
"""Weight of a parameter's square in the mean square residual: too little to move an estimate that
the runs determine; it holds the others (a useless source's worth) from running to infinity."""

MOST_STEPS = 200


def minimise(
    form: MixtureForm,
    start: Array,
    runs: tuple[Array, Mapping[str, Array], Array],
    weights: Array | None = None,
    steps: int = MOST_STEPS,
) -> tuple[Array, float]:
    """The parameters that fit log losses best from `start`, and the mean square residual.

    runs: shares [points, sources], logarithms of sizes, logarithms of losses [points].
    weights: [points], such as counts in a resample.
    """
    shares, logs, target = runs
    weight = np.ones(len(target)) if weights is None else weights
    total = float(weight.sum())

    def state(theta: Array) -> tuple[float, Array, Array]:
        loss, slope = form.evaluate(theta, shares, logs)
        residual = np.log(np.maximum(loss, 1e-300)) - target
        value = float(weight @ residual**2) / total + RIDGE * float(theta @ theta)
        return value, residual, slope / np.maximum(loss, 1e-300)[:, None]

    theta, damping = start.copy(), 1e-2
    value, residual, slope = state(theta)
    for _ in range(steps):
        weighted = slope * weight[:, None]
        gradient = weighted.T @ residual / total + RIDGE * theta
        hessian = weighted.T @ slope / total
        hessian[np.diag_indices_from(hessian)] += RIDGE
        scale = np.diag(hessian).copy()
        before = value
        for _ in range(12):
            step = np.linalg.solve(hessian + damping * np.diag(scale), -gradient)
            tried = theta + np.clip(step, -3.0, 3.0)
            found = state(tried)
            if np.isfinite(found[0]) and found[0] < value:
                theta, (value, residual, slope) = tried, found
                damping = max(damping / 5, 1e-9)
                break
            damping *= 4
        else:
            break
        if before - value < 1e-7 * before:
            break
    return theta, float(weight @ residual**2) / total
