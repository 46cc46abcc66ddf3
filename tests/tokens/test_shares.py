"""Exact shares: the bound, phases, repetition, and what is refused."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.tokens.shares import Phase, ShareSchedule, exact_shares


@st.composite
def mixtures(draw: st.DrawFn, parts: int = 100) -> dict[str, float]:
    """Up to five sources with shares of whole parts of `parts`."""
    cuts = sorted(draw(st.sets(st.integers(1, parts - 1), max_size=4)))
    edges = [0, *cuts, parts]
    shares = [(b - a) / parts for a, b in itertools.pairwise(edges)]
    names = draw(st.permutations(range(5)))
    return {f"s{name}": share for name, share in zip(names, shares, strict=False)}


@st.composite
def phased(draw: st.DrawFn) -> list[Phase]:
    """Up to four phases of up to 600 windows, whole periods or not."""
    parts = draw(st.sampled_from([2, 5, 10, 20]))
    lengths = draw(st.lists(st.integers(1, 600), max_size=3))
    starts = [0, *itertools.accumulate(lengths)]
    return [Phase(start, draw(mixtures(parts=parts))) for start in starts]


@given(mixtures(), st.integers(0, 5000))
def test_every_prefix_is_within_one_window_of_the_exact_share(
    shares: dict[str, float], windows: int
) -> None:
    counts = ShareSchedule(shares).counts(windows)
    assert sum(counts.values()) == windows
    for name, share in exact_shares(shares).items():
        assert abs(counts.get(name, 0) - share * windows) < 1


@given(phased())
@settings(max_examples=60)
def test_shares_that_change_are_exact_over_every_prefix(phases: list[Phase]) -> None:
    schedule = ShareSchedule(phases)
    windows = phases[-1].start + 300
    asked = dict.fromkeys(schedule.sources, Fraction(0))
    given_out = dict.fromkeys(schedule.sources, 0)
    sources, ranks = schedule.locate(np.arange(windows))
    exact = [exact_shares(phase.shares) for phase in phases]
    phase = 0
    for window in range(windows):
        phase += phase + 1 < len(phases) and window == phases[phase + 1].start
        source = schedule.sources[int(sources[window])]
        assert ranks[window] == given_out[source]
        given_out[source] += 1
        for name, share in exact[phase].items():
            if share:
                asked[name] += share
        assert all(abs(given_out[name] - asked[name]) < 1 for name in asked)
    assert schedule.counts(windows) == given_out
    assert schedule.asked(windows) == asked


@given(phased(), st.integers(0, 2000))
@settings(max_examples=40)
def test_counts_are_those_of_the_windows_before(phases: list[Phase], windows: int) -> None:
    schedule = ShareSchedule(phases)
    sources, _ = schedule.locate(np.arange(windows))
    found = np.bincount(sources, minlength=len(schedule.sources)).tolist()
    assert list(schedule.counts(windows).values()) == found


def test_a_long_run_is_arranged_without_its_length() -> None:
    later = 40_000_001
    schedule = ShareSchedule(
        [Phase(0, {"natural": 0.67, "hq": 0.33}), Phase(later, {"natural": 0.5, "hq": 0.5})]
    )
    assert len(schedule._order) < 1000
    places = np.array([later - 1, later, 49_000_000])
    for place, source, rank in zip(places, *schedule.locate(places), strict=True):
        assert schedule.counts(int(place))[schedule.sources[source]] == rank
    asked = float(schedule.asked(49_000_000)["hq"])
    assert asked == pytest.approx(later * 0.33 + (49_000_000 - later) * 0.5)
    assert abs(schedule.counts(49_000_000)["hq"] - asked) < 1


def test_a_source_can_be_left_out_from_a_phase_on() -> None:
    schedule = ShareSchedule([Phase(0, {"a": 0.5, "b": 0.5}), Phase(101, {"a": 1.0})])
    assert schedule.counts(101)["b"] in (50, 51)
    assert schedule.counts(5000)["b"] in (50, 51)


def test_the_papers_third_is_exact_over_its_period() -> None:
    schedule = ShareSchedule({"natural": 0.67, "hq": 0.33})
    assert schedule.counts(100) == {"natural": 67, "hq": 33}
    assert schedule.counts(10**12) == {"natural": 67 * 10**10, "hq": 33 * 10**10}


def test_shares_are_read_as_decimals_not_as_binary_fractions() -> None:
    assert exact_shares({"a": 0.9, "b": 0.1}) == {"a": Fraction(9, 10), "b": Fraction(1, 10)}


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"a": 0.7, "b": 0.5}, "add to 1.2"),
        ({"a": 1.5, "b": -0.5}, "from 0 to 1"),
        ({"a": float("nan")}, "from 0 to 1"),
        ({"a": 0.123456789, "b": 0.876543211}, "six decimals"),
    ],
)
def test_shares_that_cannot_be_kept_are_refused(shares: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ShareSchedule(shares)


@pytest.mark.parametrize("starts", [[], [1], [0, 5, 5], [0, 7, 3]])
def test_phases_that_do_not_follow_are_refused(starts: list[int]) -> None:
    with pytest.raises(UsageError, match="expected 0 first"):
        ShareSchedule([Phase(start, {"a": 1.0}) for start in starts])
