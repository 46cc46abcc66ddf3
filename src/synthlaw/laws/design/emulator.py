"""One law for every type and share: joint laws whose coefficients vary smoothly with the share.

    ln L(t, s, N, D) = ln( E + A (N/N0)^-alpha + B (D/D0)^-beta ) + noise
    ln (E, A, alpha, B, beta)(t, s) = common + deviation(t, s),   deviation(t, 0) = 0

`common` has a wide prior; deviations are a Gaussian process over the share, half of it shared by
all types. So a run tells about its own mixture most, about shares near it, and a little about other
types: few runs carry laws that could not be fitted one by one. N0 and D0 are in the middle of what
may be run, where A and B are parts of the loss. The posterior is Laplace's approximation: the
coefficients that fit best, and a normal distribution around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

COEFFICIENTS = ("E", "A", "alpha", "B", "beta")

COMMON_MEAN = (0.75, 0.12, 0.4, 0.12, 0.45)
"""E, A and B as parts of the lowest loss (of 3 nats where there is no run); the exponents are
between those of published laws."""

COMMON_SD = np.array([0.4, 1.0, 0.4, 1.0, 0.4])
"""Of logarithms, over all text: a factor of 2.7 either way for A and B is one deviation."""

TYPE_SD = np.array([0.12, 0.4, 0.3, 0.4, 0.3])
"""Of logarithms, from natural text to a type alone. In the paper (Tables 4 and 5, the three types
alone against CC) the root mean squares are 0.10, 0.18, 0.31, 0.39 and 0.23; A's is doubled, since
three types say little of a fourth, the others are rounded."""

SHARE_LENGTH = 0.25
"""Shares nearer than this have like coefficients."""

SHARED_PART = 0.5
"""Of the variance of deviations: what all synthetic types have in common."""

NO_LOSS = 3.0
MOST_STEPS = 60


@dataclass(frozen=True)
class Point:
    """A mixture: a synthetic type at a share from 0 to 1; the natural text is any type at 0."""

    kind: str
    share: float


@dataclass(frozen=True)
class Seen:
    """Runs: the number of their point, sizes, losses (nats per token), each [runs]."""

    point: NDArray[np.intp]
    params: Array
    tokens: Array
    loss: Array

    def __len__(self) -> int:
        return len(self.loss)


class Emulator:
    """The posterior of all points' coefficients given some runs.

    middle: (N0, D0). noise: standard deviation of ln loss between runs, seeds included.
    """

    def __init__(
        self, points: Sequence[Point], seen: Seen, middle: tuple[float, float], noise: float
    ) -> None:
        self.points, self.seen, self.middle, self.noise = list(points), seen, middle, noise
        lowest = float(seen.loss.min()) if len(seen) else NO_LOSS
        common = np.log(np.array(COMMON_MEAN) * np.array([lowest, lowest, 1, lowest, 1]))
        self._mean = np.tile(common, len(self.points))
        self._root = _root_of(prior_covariance(self.points))
        self._whitened = self._fit()

    @cached_property
    def coefficients(self) -> Array:
        """Logarithms of E, A, alpha, B, beta that fit best: [points, 5]."""
        return np.asarray((self._mean + self._root @ self._whitened).reshape(-1, 5))

    @cached_property
    def covariance(self) -> Array:
        """Of the coefficients' logarithms: [points * 5, points * 5]."""
        slopes = self._slopes_of_runs(self.coefficients) @ self._root / self.noise
        inner = np.eye(self._root.shape[1]) + slopes.T @ slopes
        half = np.linalg.solve(np.linalg.cholesky(inner), self._root.T)
        return np.asarray(half.T @ half)

    def log_loss(
        self, point: NDArray[np.intp], params: Array, tokens: Array
    ) -> tuple[Array, Array]:
        """Expected ln loss [n] and its derivatives by all coefficients [n, points * 5]."""
        return self._evaluate(self.coefficients, point, params, tokens)

    def _evaluate(
        self, coefficients: Array, point: NDArray[np.intp], params: Array, tokens: Array
    ) -> tuple[Array, Array]:
        own = np.exp(np.clip(coefficients[point], -30.0, 30.0))
        n, d = np.log(params / self.middle[0]), np.log(tokens / self.middle[1])
        of_params = own[:, 1] * np.exp(-own[:, 2] * n)
        of_tokens = own[:, 3] * np.exp(-own[:, 4] * d)
        total = own[:, 0] + of_params + of_tokens
        local = (
            np.stack(
                [
                    own[:, 0],
                    of_params,
                    -of_params * own[:, 2] * n,
                    of_tokens,
                    -of_tokens * own[:, 4] * d,
                ],
                axis=1,
            )
            / total[:, None]
        )
        slopes = np.zeros((len(point), len(self.points), 5))
        slopes[np.arange(len(point)), point] = local
        return np.log(total), slopes.reshape(len(point), 5 * len(self.points))

    def _slopes_of_runs(self, coefficients: Array) -> Array:
        seen = self.seen
        return self._evaluate(coefficients, seen.point, seen.params, seen.tokens)[1]

    def _fit(self) -> Array:
        """Whitened coefficients, by Levenberg and Marquardt's method."""
        z = np.zeros(self._root.shape[1])
        if not len(self.seen):
            return z
        target = np.log(self.seen.loss)

        def state(at: Array) -> tuple[float, Array, Array]:
            values = (self._mean + self._root @ at).reshape(-1, 5)
            found, slopes = self._evaluate(
                values, self.seen.point, self.seen.params, self.seen.tokens
            )
            residual = (found - target) / self.noise
            return float(residual @ residual + at @ at), residual, slopes

        value, residual, slopes = state(z)
        damping = 1.0
        for _ in range(MOST_STEPS):
            slope = slopes @ self._root / self.noise
            gradient = slope.T @ residual + z
            hessian = slope.T @ slope + np.eye(len(z))
            before = value
            for _ in range(12):
                tried = z - np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), gradient)
                new = state(tried)
                if np.isfinite(new[0]) and new[0] < value:
                    z, (value, residual, slopes) = tried, new
                    damping = max(damping / 8, 1e-9)
                    break
                damping *= 4
            else:
                break
            if before - value < 1e-9 * before:
                break
        return z


def prior_covariance(points: Sequence[Point]) -> Array:
    """Of the logarithms of all points' coefficients: [points * 5, points * 5]."""
    shares = np.array([point.share for point in points])
    kinds = np.array([point.kind for point in points])
    alike = SHARED_PART + (1 - SHARED_PART) * (kinds[:, None] == kinds[None, :])
    deviations = alike * _from_natural(shares)
    common = np.ones_like(deviations)
    return np.asarray(
        np.kron(common, np.diag(COMMON_SD**2)) + np.kron(deviations, np.diag(TYPE_SD**2))
    )


def _from_natural(shares: Array) -> Array:
    """A smooth kernel over shares that is 0 at the natural text and 1 at a type alone."""

    def smooth(a: Array, b: Array) -> Array:
        return np.asarray(np.exp(-((a[:, None] - b[None, :]) ** 2) / (2 * SHARE_LENGTH**2)))

    zero = np.zeros(1)
    kernel = smooth(shares, shares) - smooth(shares, zero) @ smooth(zero, shares)
    alone = 1 - float(smooth(np.ones(1), zero)[0, 0]) ** 2
    return np.asarray(kernel / alone)


def _root_of(covariance: Array) -> Array:
    """A matrix whose product with its own transpose is `covariance`: [n, rank]."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > 1e-10 * values.max()
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))
