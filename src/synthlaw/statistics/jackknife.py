"""Intervals from blocks of documents: the delete-one-block jackknife for blocks of unequal size.

Tokens of one document depend on each other, so tokens cannot be drawn again one by one. Leaving
out one block of documents at a time shows how much a statistic owes to which documents were
sampled. Weights are those of Busing, Meijer and van der Leeden (Statistics and Computing 9, 1999);
with equal blocks this is the plain jackknife.

Blocks are neighbours in the set's order. Where a set is sorted by source its blocks differ more
than random ones would, and the interval is too wide rather than too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

FEWEST_BLOCKS = 4
"""With fewer blocks there is no interval: the bounds are NaN."""

LEVEL = 0.9
"""Nominal coverage of all intervals of this room."""


@dataclass(frozen=True)
class Estimate:
    """A figure, its standard error over blocks of documents, and its interval."""

    value: float
    error: float
    low: float
    high: float


def jackknife(
    blocks: np.ndarray, statistic: Callable[[np.ndarray], float | Sequence[float] | np.ndarray]
) -> list[Estimate]:
    """Every figure of statistic(counts), counts being the sum of `blocks` [blocks, vocab]."""
    total = blocks.sum(axis=0, dtype=np.uint64)
    whole = np.atleast_1d(np.asarray(statistic(total), dtype=np.float64))
    used = [block for block in blocks if block.any()]
    if len(used) < FEWEST_BLOCKS:
        return [unbounded(float(value)) for value in whole]
    left = np.array([np.atleast_1d(statistic(total - block)) for block in used], dtype=np.float64)
    sizes = np.array([float(block.sum()) for block in used])
    errors = standard_errors(whole, left, sizes)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(used) - 1))
    return [
        Estimate(float(v), float(e), float(v - reach * e), float(v + reach * e))
        for v, e in zip(whole, errors, strict=True)
    ]


def standard_errors(whole: np.ndarray, left: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Standard errors of `whole` [...] from the values without each block, left [blocks, ...].

    sizes: tokens of each block.
    """
    count = len(sizes)
    h = (sizes.sum() / sizes).reshape(-1, *([1] * whole.ndim))
    centre = count * whole - np.sum((1 - 1 / h) * left, axis=0)
    pseudo = h * whole - (h - 1) * left
    errors: np.ndarray = np.sqrt(np.mean((pseudo - centre) ** 2 / (h - 1), axis=0))
    return errors


def unbounded(value: float) -> Estimate:
    """A figure with too few blocks for an interval."""
    nan = float("nan")
    return Estimate(value, nan, nan, nan)
