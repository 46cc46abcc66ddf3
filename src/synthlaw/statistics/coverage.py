"""What of a test set's text a training set has shown, and how often; and where it falls short."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PER = 1_000_000
"""Frequencies are given per million tokens."""

THRESHOLDS = (0.0, 0.1, 1.0, 10.0, 100.0, 1000.0)
"""Training frequencies, per million tokens, at which coverage is given; 0 means seen at all."""

TEST_FLOOR = 10.0
SHORTFALL = 10.0
"""A token is a gap when the test set has it at least TEST_FLOOR times per million tokens, and at
least SHORTFALL times as often as the training set."""

FEWEST_SEEN = 5
"""A gap's token occurs at least so often in the test set."""


@dataclass(frozen=True)
class Coverage:
    """Part of a test set's tokens and types whose training frequency is above `threshold`."""

    threshold: float
    tokens: float
    types: float


def coverage(
    test: np.ndarray, training: np.ndarray, thresholds: tuple[float, ...] = THRESHOLDS
) -> list[Coverage]:
    """Coverage of counts `test` [vocab] by counts `training` [vocab], one row per threshold.

    A threshold above 0 is reached, 0 itself is exceeded. An empty test set is covered by anything
    (its shares are 1).
    """
    frequency = training * (PER / max(float(training.sum()), 1.0))
    seen = test > 0
    total, types = float(test.sum()), int(seen.sum())
    rows = []
    for threshold in thresholds:
        reached = frequency >= threshold if threshold > 0 else training > 0
        tokens = float(test[reached].sum()) / total if total else 1.0
        rows.append(
            Coverage(
                threshold, tokens, float((seen & reached).sum() / max(types, 1)) if types else 1.0
            )
        )
    return rows


def gaps(test: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Ids of tokens that are frequent in `test` and rare or absent in `training`.

    Ordered by the test tokens that they stand for, most first. See TEST_FLOOR and SHORTFALL.
    """
    often = test / max(float(test.sum()), 1.0)
    rare = training / max(float(training.sum()), 1.0)
    found = np.flatnonzero(
        (often * PER >= TEST_FLOOR) & (test >= FEWEST_SEEN) & (often >= SHORTFALL * rare)
    )
    return found[np.argsort(-test[found].astype(np.float64), kind="stable")]
