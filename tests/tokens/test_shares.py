"""Exact shares: the bound, the period, and what is refused."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.tokens.shares import ShareSchedule, exact_shares


@st.composite
def mixtures(draw: st.DrawFn) -> dict[str, float]:
    """Up to five sources with shares of whole percents."""
    cuts = sorted(draw(st.sets(st.integers(1, 99), max_size=4)))
    edges = [0, *cuts, 100]
    parts = [b - a for a, b in itertools.pairwise(edges)]
    return {f"s{i}": part / 100 for i, part in enumerate(parts)}


@given(mixtures(), st.integers(0, 5000))
def test_every_prefix_is_within_one_window_of_the_exact_share(
    shares: dict[str, float], windows: int
) -> None:
    counts = ShareSchedule(shares).counts(windows)
    assert sum(counts.values()) == windows
    for name, share in exact_shares(shares).items():
        assert abs(counts.get(name, 0) - share * windows) < 1


@given(mixtures())
@settings(max_examples=30)
def test_ranks_of_a_source_count_up_without_gaps(shares: dict[str, float]) -> None:
    schedule = ShareSchedule(shares)
    seen: dict[str, int] = {}
    sources, ranks = schedule.locate(np.arange(250))
    for number, rank in zip(sources.tolist(), ranks.tolist(), strict=True):
        source = schedule.sources[number]
        assert rank == seen.get(source, 0)
        seen[source] = rank + 1
    assert seen == {name: n for name, n in schedule.counts(250).items() if n}


def test_the_papers_third_is_exact_over_its_period() -> None:
    schedule = ShareSchedule({"natural": 0.67, "hq": 0.33})
    assert schedule.period == 100
    assert schedule.counts(100) == {"natural": 67, "hq": 33}


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
