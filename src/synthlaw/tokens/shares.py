"""Exact shares: which source gives window g of a mixture, and which of its windows that is.

A mixture's shares are decimal fractions, constant or changing from one phase of training to the
next. Tijdeman's rule (Discrete Mathematics 32, 1980: the chairman assignment problem, whose shares
may differ from place to place) orders the sources so that over *any* prefix each source's count
differs from the sum of its shares by less than one window.

Only what is not repetition is kept of that order. With constant shares it repeats after one period
(their common denominator). In a phase of many periods, a stretch of one period in which every
source has exactly its share leaves all debts as they were: it stands for as many repetitions as the
phase is long. So any window is found in O(1), whatever the length of the run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from synthlaw.common.errors import UsageError

LONGEST_PERIOD = 1_000_000
MOST_PERIODS = 64
"""Periods of a phase that are looked through for a stretch that can repeat; two were enough in
every case tried."""


@dataclass(frozen=True)
class Phase:
    """`shares` (of each source, sum 1) from window number `start` of the mixture on."""

    start: int
    shares: Mapping[str, float]


Shares = Mapping[str, float] | Sequence[Phase]


@dataclass(frozen=True)
class _Stretch:
    """Places `first` to `last` of the kept order, which stand at window `start` and repeat from
    there. given: windows of each source before `start`, int64 [sources]."""

    start: int
    first: int
    last: int
    given: np.ndarray


class ShareSchedule:
    """The pure map from a window's number g to (source, rank of the window in that source).

    shares: constant, or phases in order, the first from window 0 on. A source whose share becomes
    zero may still be given one window that it is owed.
    Raises UsageError for shares that cannot be kept exactly.
    """

    def __init__(self, shares: Shares) -> None:
        phases = phases_of(shares)
        exact = [exact_shares(phase.shares) for phase in phases]
        names = dict.fromkeys(name for part in exact for name, share in part.items() if share > 0)
        self.sources = list(names)
        self._starts = [phase.start for phase in phases]
        self._shares = [[part.get(name, Fraction(0)) for name in self.sources] for part in exact]
        self._order, self._stretches = _arrange(self._starts, self._shares)
        one_hot = self._order[:, None] == np.arange(len(self.sources))[None, :]
        zero = np.zeros((1, len(self.sources)), np.int64)
        self._before = np.vstack([zero, np.cumsum(one_hot, 0)])
        self._begins = np.array([stretch.start for stretch in self._stretches])

    def locate(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The source of each of `windows` (its place in `sources`), and the window's rank among
        that source's: int64 [n] both."""
        sources = np.empty(len(windows), np.int64)
        ranks = np.empty(len(windows), np.int64)
        found = np.searchsorted(self._begins, windows, side="right") - 1
        for number in np.unique(found).tolist():
            rows = found == number
            stretch = self._stretches[number]
            cycles, places = np.divmod(windows[rows] - stretch.start, stretch.last - stretch.first)
            places += stretch.first
            chosen = self._order[places].astype(np.int64)
            whole = self._before[stretch.last] - self._before[stretch.first]
            before = self._before[places, chosen] - self._before[stretch.first, chosen]
            sources[rows] = chosen
            ranks[rows] = stretch.given[chosen] + cycles * whole[chosen] + before
        return sources, ranks

    def counts(self, windows: int) -> dict[str, int]:
        """How many of the first `windows` windows come from each source."""
        stretch = self._stretches[int(np.searchsorted(self._begins, windows, side="right")) - 1]
        cycles, place = divmod(windows - stretch.start, stretch.last - stretch.first)
        first = self._before[stretch.first]
        whole = self._before[stretch.last] - first
        total = stretch.given + cycles * whole + self._before[stretch.first + place] - first
        return {name: int(count) for name, count in zip(self.sources, total, strict=True)}

    def asked(self, windows: int) -> dict[str, Fraction]:
        """Windows that the shares ask for over the first `windows` windows, exactly."""
        total = dict.fromkeys(self.sources, Fraction(0))
        for start, end, shares in zip(
            self._starts, [*self._starts[1:], windows], self._shares, strict=True
        ):
            for name, share in zip(self.sources, shares, strict=True):
                total[name] += share * max(0, min(end, windows) - start)
        return total


def phases_of(shares: Shares) -> list[Phase]:
    """Shares as phases. Raises UsageError when phases do not begin at 0 or do not follow."""
    if isinstance(shares, Mapping):
        return [Phase(0, shares)]
    starts = [phase.start for phase in shares]
    if not starts or starts[0] != 0 or any(b <= a for a, b in pairwise(starts)):
        raise UsageError(
            f"phases: found starts at windows {starts}; expected 0 first and each after the one "
            "before it"
        )
    return list(shares)


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


def _period(shares: Sequence[Fraction]) -> int:
    """Windows after which constant shares are exact."""
    period = math.lcm(*(share.denominator for share in shares))
    if period > LONGEST_PERIOD:
        raise UsageError(
            f"shares {', '.join(str(float(share)) for share in shares)}: the period of {period} "
            "windows is too long; expected shares of at most six decimals"
        )
    return period


def _arrange(
    starts: Sequence[int], shares: Sequence[Sequence[Fraction]]
) -> tuple[np.ndarray, list[_Stretch]]:
    """The kept order (int16 [n]) and the stretches of it that make up the whole line of windows."""
    periods = [_period(part) for part in shares]
    lengths = [end - start for start, end in pairwise(starts)]
    # The first phase starts without debts: its first period can repeat. Others are given two.
    kept_periods = [1 if phase == 0 else 2 for phase in range(len(starts))]
    while True:
        kept = [
            min(length, length % period + count * period)
            for length, period, count in zip(lengths, periods, kept_periods, strict=False)
        ]
        kept.append(kept_periods[-1] * periods[-1])
        order = _tijdeman(kept, shares)
        loops = []
        for phase, (size, period) in enumerate(zip(kept, periods, strict=True)):
            first = sum(kept[:phase])
            part = order[first : first + size]
            loops.append(_loop(part, [int(share * period) for share in shares[phase]], period))
        whole = [*(size == length for size, length in zip(kept, lengths, strict=False)), False]
        lacking = [phase for phase, loop in enumerate(loops) if loop is None and not whole[phase]]
        if not lacking:
            return order, _stretches(starts, kept, loops, periods, order, len(shares[0]))
        for phase in lacking:
            kept_periods[phase] *= 2
            assert kept_periods[phase] <= MOST_PERIODS, "an order that never repeats"


def _loop(order: np.ndarray, weights: Sequence[int], period: int) -> int | None:
    """The first place from which `period` places hold every source as often as it is due."""
    if len(order) < period:
        return None
    good = np.ones(len(order) - period + 1, dtype=bool)
    for source, weight in enumerate(weights):
        before = np.concatenate([[0], np.cumsum(order == source)])
        good &= before[period:] - before[:-period] == weight
    places = np.flatnonzero(good)
    return int(places[0]) if places.size else None


def _stretches(
    starts: Sequence[int],
    kept: Sequence[int],
    loops: Sequence[int | None],
    periods: Sequence[int],
    order: np.ndarray,
    sources: int,
) -> list[_Stretch]:
    """Each phase as what comes before its loop, the loop, and what comes after."""
    found: list[_Stretch] = []
    given = np.zeros(sources, np.int64)
    at = first = 0

    def add(size: int, length: int) -> None:
        """`size` places of the order from `first` on, standing for `length` windows."""
        nonlocal at, first, given
        if size:
            found.append(_Stretch(at, first, first + size, given))
            counts = np.bincount(order[first : first + size], minlength=sources)
            given = given + counts * (length // size)
        at, first = at + length, first + size

    for phase, (start, size) in enumerate(zip(starts, kept, strict=True)):
        assert at == start
        loop = loops[phase]
        last = phase == len(starts) - 1
        length = size if last else starts[phase + 1] - start
        if loop is None:
            add(size, length)
            continue
        period = periods[phase]
        after = 0 if last else size - loop - period
        add(loop, loop)
        add(period, length - loop - after)
        add(after, after)
    return found


def _tijdeman(lengths: Sequence[int], shares: Sequence[Sequence[Fraction]]) -> np.ndarray:
    """Order of sources over phases of `lengths` windows; int arithmetic, so exact.

    O(windows · sources). Of the sources whose debt, the window to be given included, is at least
    the slack 1 / (2k - 2), the one goes next whose debt would first reach one less the slack.
    """
    k = len(shares[0])
    order = np.zeros(sum(lengths), dtype=np.int16)
    if k == 1:
        return order
    unit = math.lcm(*(share.denominator for part in shares for share in part))
    scale = 2 * k - 2
    # In units of 1 / (unit · scale): what a window makes due, and what one window pays.
    dues = [[int(share * unit) * scale for share in part] for part in shares]
    price, slack = unit * scale, unit
    debts = [0] * k
    place = 0
    for phase, length in enumerate(lengths):
        due = dues[phase]
        for left in range(length, 0, -1):
            best, best_time = -1, (0, 1)
            for source in range(k):
                debts[source] += due[source]
                if debts[source] < slack:
                    continue
                time = _time_to(
                    price - slack - debts[source], source, left - 1, phase, lengths, dues
                )
                if best < 0 or time[0] * best_time[1] < best_time[0] * time[1]:
                    best, best_time = source, time
            order[place] = best
            debts[best] -= price
            place += 1
    return order


def _time_to(
    missing: int,
    source: int,
    left: int,
    phase: int,
    lengths: Sequence[int],
    dues: Sequence[Sequence[int]],
) -> tuple[int, int]:
    """Windows until `missing` more is due to `source`, as a fraction; a very long time if never.

    left: windows left of the present phase.
    """
    passed = 0
    for number in range(phase, len(lengths)):
        due = dues[number][source]
        span = left if number == phase else lengths[number]
        if due and (number == len(lengths) - 1 or missing <= due * span):
            return passed * due + missing, due
        missing -= due * span
        passed += span
    return 1 << 200, 1
