"""Intervals and paired tests for ratios of sums over documents.

Documents are the unit that was sampled; tokens of one document depend on each other. So documents
are drawn again with replacement, and the ratio is taken of the drawn sums.

With few documents plain percentile intervals are too narrow. Each resample is therefore
studentised by its own standard error (bootstrap-t; Efron and Tibshirani 1993, chapter 12.5),
which on simulated documents covers close to what it promises from about ten documents on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthlaw.common.errors import UsageError
from synthlaw.common.seeds import derive_seed

FEWEST_DOCUMENTS = 5
"""Below this many scored documents there is no interval: the bounds are NaN."""

_ROUNDING = 1e-6
"""A resample's standard error this small beside the whole sample's is rounding: it comes from a
difference of squares, exact to half the digits."""

_EXACT = 1e-12
"""Documents that differ by less than this, relative to the ratio, are all alike."""

_CELLS = 1 << 22
"""Resampled weights held at once."""


@dataclass(frozen=True)
class Interval:
    """A figure between bounds; the bounds are NaN when too few documents speak."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference:
    """Two runs on the same documents: figure of the first minus the second.

    p_value: two-sided, from the studentised bootstrap; how often a difference at least this many
    standard errors from zero arises when there is none. NaN with too few documents.
    """

    value: float
    low: float
    high: float
    p_value: float


def bootstrap_interval(
    top: np.ndarray, bottom: np.ndarray, *, level: float = 0.9, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Interval of Σtop / Σbottom over documents, at coverage `level`.

    Documents with top = bottom = 0 (nothing scored) count as sampled, and change nothing.
    """
    _check_level(level)
    value, error = _ratio(top, bottom)
    return _bounds(value, error, _pivots(top, bottom, value, error, resamples, seed), level)


def paired_difference(
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
    *,
    level: float = 0.9,
    resamples: int = 2000,
    seed: int = 0,
) -> PairedDifference:
    """Difference of two ratios over the same documents, each given as (top, bottom) per document.

    `DomainScores.terms` gives them. What both runs find hard cancels, so the interval is far
    narrower than those of the runs. Raises UsageError when the documents are not the same.
    """
    _check_level(level)
    if first[0].shape != second[0].shape or not np.array_equal(first[1], second[1]):
        raise UsageError(
            f"paired difference: found {len(first[0])} and {len(second[0])} documents with "
            "different sizes; expected the same documents, scored in the same way"
        )
    top, bottom = first[0] - second[0], first[1]
    value, error = _ratio(top, bottom)
    pivots = _pivots(top, bottom, value, error, resamples, seed)
    bounds = _bounds(value, error, pivots, level)
    if pivots is None:
        p_value = float("nan")
    elif len(pivots) == 1:
        p_value = float(value == 0)
    else:
        beyond = int(np.sum(np.abs(pivots) >= abs(value / error)))
        p_value = (beyond + 1) / (len(pivots) + 1)
    return PairedDifference(bounds.value, bounds.low, bounds.high, p_value)


def _bounds(value: float, error: float, pivots: np.ndarray | None, level: float) -> Interval:
    if pivots is None:
        return Interval(value, float("nan"), float("nan"))
    tail = (1 - level) / 2
    low, high = np.quantile(pivots, [tail, 1 - tail])
    return Interval(value, float(value - high * error), float(value - low * error))


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise UsageError(f"level: found {level}; expected a coverage between 0 and 1, such as 0.9")


def _ratio(top: np.ndarray, bottom: np.ndarray) -> tuple[float, float]:
    """Ratio of sums and its standard error by linearisation."""
    value = float(top.sum() / bottom.sum())
    residuals = (top - value * bottom) / bottom.mean()
    count = len(top)
    error = float(np.sqrt(np.sum(residuals**2) / (count * max(count - 1, 1))))
    return value, error


def _pivots(
    top: np.ndarray, bottom: np.ndarray, value: float, error: float, resamples: int, seed: int
) -> np.ndarray | None:
    """(resampled ratio - ratio) / resampled error, one per resample; None when it is undefined."""
    count = len(top)
    if np.count_nonzero(bottom) < FEWEST_DOCUMENTS:
        return None
    if error <= _EXACT * abs(value):
        return np.zeros(1)
    random = np.random.default_rng(derive_seed(seed, "bootstrap", count))
    # Centred, so that squares do not cancel; and in sums, so that resampling is a matrix product.
    off = top - value * bottom
    columns = np.stack([off, bottom, off * off, off * bottom, bottom * bottom], axis=1)
    sums = []
    rows = max(1, _CELLS // count)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        weights = random.multinomial(count, np.full(count, 1 / count), size=size)
        sums.append(weights @ columns)
    t, b, tt, tb, bb = np.concatenate(sums).T
    kept = b > 0
    t, b, tt, tb, bb = t[kept], b[kept], tt[kept], tb[kept], bb[kept]
    shift = t / b
    squares = np.maximum(tt - 2 * shift * tb + shift**2 * bb, 0.0)
    errors = np.sqrt(squares * count / (count - 1)) / b
    # A resample of one document drawn again and again says nothing of the spread.
    spread = errors > _ROUNDING * error
    pivots: np.ndarray = shift[spread] / errors[spread]
    return pivots
