"""Second derivatives from exact first ones, for forms whose own would be long to write down."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_STEP = 1e-5


class Evaluated(Protocol):
    """Anything with exact first derivatives."""

    def evaluate(self, z: Array) -> tuple[Array, Array]:
        """Prediction [M, points] and derivatives [M, size, points]."""


def curvature_by_differences(bound: Evaluated, z: Array, weights: Array) -> Array:
    """Sum over points of weights [M, points] times second derivatives: [M, size, size].

    Central differences of the exact gradient: relative error near 1e-10, which costs the Newton
    polish nothing because the gradient alone decides where it ends.
    """
    count, size = z.shape
    step = _STEP * np.maximum(np.abs(z), 0.1)
    result = np.empty((count, size, size))
    for p in range(size):
        move = np.zeros_like(z)
        move[:, p] = step[:, p]
        up = np.einsum("mi,mpi->mp", weights, bound.evaluate(z + move)[1])
        down = np.einsum("mi,mpi->mp", weights, bound.evaluate(z - move)[1])
        result[:, p] = (up - down) / (2 * step[:, p, None])
    symmetric: Array = 0.5 * (result + result.swapaxes(1, 2))
    return symmetric
