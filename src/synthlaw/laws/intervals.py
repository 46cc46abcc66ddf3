"""Intervals from replicates of a fit."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEVEL = 0.90
"""Nominal coverage of every interval unless told otherwise."""


def tail_of(level: float, method: str, points: int, free: int) -> float:
    """The probability below an interval of replicates, and above it; see `interval`."""
    tail = (1 - level) / 2
    if method == "runs" and points > free:
        from scipy.special import ndtr, stdtrit

        student = stdtrit(points - free, tail)
        tail = float(ndtr(math.sqrt(points / (points - free)) * student))
    return tail


def interval(values: Array, level: float, method: str, points: int, free: int) -> Array:
    """[2, ...] interval of replicates [count, ...] by percentiles.

    Percentiles of resampled runs are too narrow by sqrt((n - p) / n) and by normal against
    Student; the tail probability is moved to undo both (Hesterberg 2015, "expanded percentile").
    """
    tail = tail_of(level, method, points, free)
    ordered = np.where(np.isnan(values), np.inf, values)
    # Between two infinite values nothing can be interpolated.
    rule: Literal["linear", "nearest"] = "linear" if np.isfinite(ordered).all() else "nearest"
    result: Array = np.quantile(ordered, [tail, 1 - tail], axis=0, method=rule)
    return result
