"""The table of divergences between every training set and every test set, with intervals.

Cross-entropy is linear in the test set's counts, so the sums of its blocks give every resample of
its documents at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from synthlaw.statistics.divergence import (
    SMOOTHINGS,
    Smoothing,
    entropy,
    jensen_shannon,
    smoothed,
)
from synthlaw.statistics.jackknife import FEWEST_BLOCKS, LEVEL, standard_errors
from synthlaw.statistics.sets import Compared
from synthlaw.statistics.unigrams import Unigrams


@dataclass(frozen=True)
class _Cross:
    """Cross-entropy of one test set under one training set's distribution.

    left: the same without each block of the test set [blocks]. error: over the training set's
    blocks; NaN when it has too few.
    """

    value: float
    left: np.ndarray
    error: float


def divergence_rows(compared: Compared) -> list[dict[str, Any]]:
    """`divergence`: KL(test || training), cross-entropy and JS, one row per pair and smoothing.

    Training sets have one size; test sets are whole. The default smoothing's rows have the KL's
    interval, and the difference to the baseline's KL with its interval: the documents of both sets
    are taken as sampled, and both sides of a difference are of the same test documents.
    """
    rows = []
    tests = list(compared.tests.values())
    for smoothing in SMOOTHINGS:
        default = smoothing == SMOOTHINGS[0]
        crosses = {n: _crosses(one, tests, smoothing, default) for n, one in compared.equal.items()}
        for name, one in compared.equal.items():
            for test, cross, against in zip(
                tests, crosses[name], crosses[compared.baseline], strict=True
            ):
                p = test.probabilities()
                kl = cross.value - entropy(p)
                row: dict[str, Any] = {
                    "training": name,
                    "test": test.name,
                    "smoothing": smoothing.label,
                }
                row |= {"training_tokens": one.tokens, "test_tokens": test.tokens, "kl": kl}
                row |= {"cross_entropy": cross.value, "js": jensen_shannon(p, one.probabilities())}
                if default:
                    row |= _interval(kl, cross, test)
                    if name != compared.baseline:
                        row |= _difference(cross, against, test)
                rows.append(row)
    return rows


def _crosses(
    one: Unigrams, tests: Iterable[Unigrams], smoothing: Smoothing, with_errors: bool
) -> list[_Cross]:
    logs = -np.log(smoothed(one.counts, smoothing))
    without = [-np.log(smoothed(one.counts - block, smoothing)) for block in one.blocks]
    sizes = one.blocks.sum(axis=1).astype(np.float64)
    found = []
    for test in tests:
        here = test.counts > 0
        by_block = test.blocks[:, here] @ logs[here]
        value = float(by_block.sum()) / test.tokens
        with np.errstate(invalid="ignore", divide="ignore"):
            left = (by_block.sum() - by_block) / (test.tokens - test.blocks.sum(axis=1))
        error = float("nan")
        if with_errors and len(one.blocks) >= FEWEST_BLOCKS:
            p = test.probabilities()[here]
            values = np.array([float(p @ other[here]) for other in without])
            error = float(standard_errors(np.array(value), values, sizes))
        found.append(_Cross(value, left, error))
    return found


def _interval(kl: float, cross: _Cross, test: Unigrams) -> dict[str, float]:
    entropies = np.array(
        [
            entropy((test.counts - block) / max(int((test.counts - block).sum()), 1))
            for block in test.blocks
        ]
    )
    reach = _reach(test) * float(
        np.hypot(_test_error(kl, cross.left - entropies, test), cross.error)
    )
    return {"kl_low": kl - reach, "kl_high": kl + reach}


def _difference(cross: _Cross, against: _Cross, test: Unigrams) -> dict[str, float]:
    value = cross.value - against.value
    paired = _test_error(value, cross.left - against.left, test)
    reach = _reach(test) * float(np.sqrt(paired**2 + cross.error**2 + against.error**2))
    return {
        "difference": value,
        "difference_low": value - reach,
        "difference_high": value + reach,
    }


def _test_error(value: float, left: np.ndarray, test: Unigrams) -> float:
    """Standard error over the test set's blocks; NaN when it has too few."""
    if len(test.blocks) < FEWEST_BLOCKS:
        return float("nan")
    sizes = test.blocks.sum(axis=1).astype(np.float64)
    return float(standard_errors(np.array(value), left, sizes))


def _reach(test: Unigrams) -> float:
    """Standard errors on each side of an interval, with the test set's degrees of freedom."""
    return float(stats.t.ppf((1 + LEVEL) / 2, max(len(test.blocks) - 1, 1)))
