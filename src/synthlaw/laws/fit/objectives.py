"""What a fit minimises: Huber, squared or absolute residuals, of log loss or of raw loss."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError

Array = NDArray[np.float64]

LAD_DELTA = 1e-9
"""Half-width of the quadratic zone that stands for the least-absolute limit."""

NAMES = ("log-huber", "huber", "mse", "lad")


@dataclass(frozen=True)
class Objective:
    """Sum over points of weight * rho(residual), with rho(r) = r^2/2 up to `delta`, linear beyond.

    log: residuals are log(prediction) - log(loss) when true, else in nats per token.
    delta: half-width of the quadratic zone; infinite gives squared error.
    over: factor on residuals above zero (prediction above the observation); 1 is symmetric, 10 is
    the lower-envelope objective of github.com/kyo-takano/chinchilla.
    """

    name: str
    log: bool
    delta: float
    over: float = 1.0

    def residuals(self, predicted: Array, observed: Array) -> Array:
        """Signed residuals in the objective's own scale, same shape as `predicted`."""
        if self.log:
            result: Array = np.log(predicted / observed)
            return result
        return predicted - observed

    def value(self, residuals: Array, weights: Array) -> Array:
        """Sum of weighted rho over the last axis."""
        size = np.abs(residuals)
        if math.isinf(self.delta):
            rho = 0.5 * size * size
        else:
            # Equals the two-branch definition, without branching: inner is the quadratic part.
            inner = np.minimum(size, self.delta)
            rho = inner * (size - 0.5 * inner)
        if self.over != 1.0:
            rho = np.where(residuals > 0, self.over * rho, rho)
        result: Array = (rho * weights).sum(axis=-1)
        return result

    def slopes(self, residuals: Array) -> tuple[Array, Array, Array]:
        """rho', rho'' and the majorising curvature rho'/r, each shaped like `residuals`."""
        if math.isinf(self.delta):
            first, second = residuals, np.ones_like(residuals)
            majorant = second
        else:
            size = np.abs(residuals)
            first = np.clip(residuals, -self.delta, self.delta)
            second = (size <= self.delta).astype(float)
            majorant = self.delta / np.maximum(size, self.delta)
        if self.over != 1.0:
            factor = np.where(residuals > 0, self.over, 1.0)
            first, second, majorant = first * factor, second * factor, majorant * factor
        return first, second, majorant

    def softened(self, delta: float) -> Objective:
        """The same objective with a wider quadratic zone, for the way to the optimum."""
        return replace(self, delta=max(delta, self.delta))

    def reported(self, residuals: Array, weights: Array) -> float:
        """The value that a fit reports: the sum of rho; the mean square for "mse"; the sum of
        absolute residuals for "lad"."""
        if self.name == "mse":
            return float(2.0 * self.value(residuals, weights) / weights.sum())
        if self.name == "lad":
            return float((self._asymmetric(residuals) * weights).sum())
        return float(self.value(residuals, weights))

    def _asymmetric(self, residuals: Array) -> Array:
        size = np.abs(residuals)
        return np.where(residuals > 0, self.over * size, size)


def objective_named(name: str, delta: float = 1e-3, over: float = 1.0) -> Objective:
    """The objective called `name`: log-huber (the default of Hoffmann et al., arXiv 2203.15556),
    huber and mse on raw loss, lad (absolute log residuals, the limit of a vanishing delta).

    Raises UsageError for an unknown name, a delta or a factor that is not positive.
    """
    if not delta > 0 or not math.isfinite(delta):
        raise UsageError(f"delta: found {delta!r}; expected a positive number such as 1e-3")
    if not over > 0 or not math.isfinite(over):
        raise UsageError(f"over-weight: found {over!r}; expected a positive number such as 10")
    if name == "log-huber":
        return Objective(name, True, delta, over)
    if name == "huber":
        return Objective(name, False, delta, over)
    if name == "mse":
        return Objective(name, False, math.inf, over)
    if name == "lad":
        return Objective(name, True, LAD_DELTA, over)
    raise UsageError(f"objective: found {name!r}; expected one of {', '.join(NAMES)}")
