"""Exact shares: which source gives window g of a mixture, and which of its windows that is.

A mixture's shares are decimal fractions. Over one period (their common denominator) each source
appears exactly its share of times, and Tijdeman's rule (Discrete Mathematics 32, 1980: the
chairman assignment problem) orders them so that over *any* prefix each source's count differs
from its exact share by less than one window.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from synthlaw.common.errors import UsageError

LONGEST_PERIOD = 1_000_000


class ShareSchedule:
    """The pure map from a window's number g to (source, rank of the window in that source)."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        fractions = exact_shares(shares)
        self.sources = [name for name, share in fractions.items() if share > 0]
        self.period = math.lcm(*(fractions[name].denominator for name in self.sources))
        if self.period > LONGEST_PERIOD:
            raise UsageError(
                f"shares {dict(shares)}: the period of {self.period} windows is too long; "
                "expected shares of at most six decimals"
            )
        weights = [int(fractions[name] * self.period) for name in self.sources]
        self._order = _tijdeman(weights, self.period)
        one_hot = self._order[:, None] == np.arange(len(weights))[None, :]
        self._before = np.vstack([np.zeros((1, len(weights)), np.int64), np.cumsum(one_hot, 0)])

    def locate(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The source of each of `windows` (its place in `sources`), and the window's rank among
        that source's: int64 [n] both."""
        cycles, places = np.divmod(windows, self.period)
        sources = self._order[places].astype(np.int64)
        whole = self._before[self.period, sources]
        return sources, cycles * whole + self._before[places, sources]

    def counts(self, windows: int) -> dict[str, int]:
        """How many of the first `windows` windows come from each source."""
        cycles, place = divmod(windows, self.period)
        total = cycles * self._before[self.period] + self._before[place]
        return {name: int(count) for name, count in zip(self.sources, total, strict=True)}


def exact_shares(shares: Mapping[str, float]) -> dict[str, Fraction]:
    """Shares as exact decimal fractions. Raises UsageError unless all are >= 0 and sum to 1."""
    fractions: dict[str, Fraction] = {}
    for name, share in shares.items():
        if not (math.isfinite(share) and 0 <= share <= 1):
            raise UsageError(f"share of {name!r}: found {share}; expected a number from 0 to 1")
        fractions[name] = Fraction(repr(float(share)))
    total = sum(fractions.values(), Fraction(0))
    if total != 1:
        listed = " + ".join(f"{name} {share:g}" for name, share in shares.items())
        raise UsageError(f"shares add to {float(total):g} ({listed}); expected exactly 1")
    return fractions


def _tijdeman(weights: list[int], period: int) -> np.ndarray:
    """Order of sources over one period; int arithmetic, so exact. O(period · sources)."""
    k = len(weights)
    order = np.zeros(period, dtype=np.int16)
    if k == 1:
        return order
    given = [0] * k
    # In units of 1 / (period · (2k-2)): lag = due - given must reach the slack 1/(2k-2) ...
    scale = 2 * k - 2
    for place in range(period):
        best, best_deadline = -1, (0, 1)
        for source, weight in enumerate(weights):
            lag = scale * (weight * (place + 1) - given[source] * period)
            if lag < period:
                continue
            # ... and of those the one that would first break the bound goes next.
            deadline = (scale * period * (1 + given[source]) - period, weight)
            if best < 0 or deadline[0] * best_deadline[1] < best_deadline[0] * deadline[1]:
                best, best_deadline = source, deadline
        order[place] = best
        given[best] += 1
    return order
