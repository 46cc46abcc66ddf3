"""Many small non-negative least-squares problems at once, by block principal pivoting.

Portugal, Judice and Vicente (1994): guess which coefficients are positive, solve for them, swap
every coefficient that contradicts the guess, repeat. With the handful of columns that a scaling
law has this ends after two or three rounds; whatever has not ended is projected onto zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def solve_nonnegative(gram: Array, moment: Array, rounds: int = 12) -> Array:
    """Minimise c'Gc/2 - c'm over c >= 0 for gram [M, K, K] and moment [M, K]: returns [M, K].

    Columns are scaled to unit norm first; a relative ridge of 1e-13 keeps collinear ones solvable.
    """
    size = gram.shape[-1]
    norm = np.sqrt(np.maximum(np.einsum("mkk->mk", gram), 1e-300))
    scaled = gram / (norm[:, :, None] * norm[:, None, :])
    scaled = scaled + 1e-13 * np.eye(size)
    right = moment / norm
    positive = np.ones(moment.shape, dtype=bool)
    best = np.zeros_like(moment)
    eye = np.eye(size)
    for _ in range(rounds):
        both = positive[:, :, None] & positive[:, None, :]
        system = np.where(both, scaled, eye)
        best = np.linalg.solve(system, np.where(positive, right, 0.0)[..., None])[..., 0]
        dual = np.einsum("mkl,ml->mk", scaled, best) - right
        wrong = np.where(positive, best < 0, dual < -1e-12)
        if not wrong.any():
            break
        positive ^= wrong
    result: Array = np.maximum(best, 0.0) / norm
    return result
