"""Bootstrap over documents: coverage, pairing, and agreement with closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from synthlaw.common.errors import UsageError
from synthlaw.evaluation.intervals import (
    bootstrap_interval,
    holm,
    mean_difference,
    mean_interval,
    paired_difference,
)


def simulated(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Documents whose losses differ by topic and fall with length, as real ones do."""
    sizes = np.maximum(2, random.lognormal(5, 0.8, count)).astype(np.int64).astype(np.float64)
    rates = 4 - 0.2 * np.log(sizes) + 0.5 * random.standard_normal(count)
    return rates * sizes, sizes


@pytest.mark.parametrize("count", [6, 15, 60])
def test_coverage_of_nominal_90(count: int) -> None:
    random = np.random.default_rng(1)
    top, bottom = simulated(random, 1_000_000)
    truth = top.sum() / bottom.sum()
    trials = 400
    hits = 0
    for trial in range(trials):
        found = bootstrap_interval(*simulated(random, count), resamples=400, seed=trial)
        hits += found.low <= truth <= found.high
    assert 0.85 <= hits / trials <= 0.95


def test_equals_students_t_for_equal_normal_documents() -> None:
    random = np.random.default_rng(2)
    losses = random.normal(3, 0.5, 40)
    found = bootstrap_interval(losses, np.ones(40), level=0.9, resamples=20_000)
    low, high = stats.t.interval(0.9, 39, losses.mean(), stats.sem(losses))
    assert found.value == pytest.approx(losses.mean())
    assert found.high - found.low == pytest.approx(high - low, rel=0.08)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.03)
    assert found.low <= low + 1e-9 and found.high >= high - 1e-9


def test_pairing_removes_what_documents_share() -> None:
    random = np.random.default_rng(3)
    top, sizes = simulated(random, 50)
    better = top - sizes * (0.02 + 0.01 * random.standard_normal(50))
    found = paired_difference((top, sizes), (better, sizes))
    assert found.value == pytest.approx((top.sum() - better.sum()) / sizes.sum())
    assert 0 < found.low < found.value < found.high
    assert found.p_value < 0.05
    alone = bootstrap_interval(top, sizes)
    assert found.high - found.low < 0.1 * (alone.high - alone.low)


def test_p_values_are_uniform_without_a_difference() -> None:
    random = np.random.default_rng(4)
    values = []
    for trial in range(300):
        _, sizes = simulated(random, 30)
        first = sizes * (3 + 0.1 * random.standard_normal(30))
        second = sizes * (3 + 0.1 * random.standard_normal(30))
        found = paired_difference((first, sizes), (second, sizes), resamples=300, seed=trial)
        values.append(found.p_value)
    assert 0.05 <= np.mean(np.array(values) < 0.1) <= 0.16


@settings(max_examples=30, deadline=None)
@example(count=6, scale=15.0, seed=554)  # a resample of one document, whose spread is rounding
@given(count=st.integers(6, 30), scale=st.floats(0.1, 100), seed=st.integers(0, 1000))
def test_scales_and_repeats(count: int, scale: float, seed: int) -> None:
    top, bottom = simulated(np.random.default_rng(seed), count)
    found = bootstrap_interval(top, bottom, resamples=200, seed=seed)
    assert found.low <= found.high
    assert bootstrap_interval(top, bottom, resamples=200, seed=seed) == found
    scaled = bootstrap_interval(top * scale, bottom, resamples=200, seed=seed)
    assert scaled.low == pytest.approx(found.low * scale, rel=1e-6)


def test_identical_runs_and_identical_documents() -> None:
    top, sizes = simulated(np.random.default_rng(5), 20)
    same = paired_difference((top, sizes), (top, sizes))
    assert (same.value, same.low, same.high, same.p_value) == (0, 0, 0, 1)
    constant = bootstrap_interval(3 * sizes, sizes)
    assert (constant.low, constant.high) == (pytest.approx(3), pytest.approx(3))


def test_too_few_documents_have_no_interval() -> None:
    found = bootstrap_interval(np.array([3.0, 4.0]), np.array([1.0, 1.0]))
    assert found.value == 3.5
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    with_empty = bootstrap_interval(
        np.array([3.0] * 4 + [0.0] * 9), np.array([1.0] * 4 + [0.0] * 9)
    )
    assert math.isnan(with_empty.low)


def test_a_document_that_is_nearly_everything_widens_the_interval() -> None:
    """With plain residuals its weight would hide what is not known of others like it."""
    random = np.random.default_rng(6)
    sizes = np.full(10, 100.0)
    losses = random.normal(3, 0.5, 10)
    even = bootstrap_interval(losses * sizes, sizes)
    sizes[0] = 100_000.0
    one = bootstrap_interval(losses * sizes, sizes)
    assert one.high - one.low > 3 * (even.high - even.low)


def test_domains_are_strata() -> None:
    random = np.random.default_rng(7)
    domains = [simulated(random, 40) for _ in range(4)]
    alone = [bootstrap_interval(*terms) for terms in domains]
    both = mean_interval(domains, [0.25] * 4)
    assert both.value == pytest.approx(np.mean([one.value for one in alone]))
    # Independent errors add as squares.
    widths = np.array([one.high - one.low for one in alone])
    assert both.high - both.low == pytest.approx(np.sqrt(np.sum(widths**2)) / 4, rel=0.15)
    few = mean_interval([*domains, simulated(random, 3)], [0.2] * 5)
    assert math.isnan(few.low)
    better = [(top - 0.05 * sizes, sizes) for top, sizes in domains]
    found = mean_difference(domains, better, [0.25] * 4)
    assert found.value == pytest.approx(0.05)
    assert found.p_value < 0.01


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    found = holm([0.5, float("nan"), 0.02])
    assert found[0] == pytest.approx(0.5)
    assert math.isnan(found[1])
    assert found[2] == pytest.approx(0.04)


def test_mistakes_are_named() -> None:
    with pytest.raises(UsageError, match=r"level: found 90; expected a coverage between 0 and 1"):
        bootstrap_interval(np.ones(3), np.ones(3), level=90)
    with pytest.raises(UsageError, match="expected the same documents"):
        paired_difference((np.ones(3), np.ones(3)), (np.ones(4), np.ones(4)))
    with pytest.raises(UsageError, match="expected the same documents"):
        paired_difference((np.ones(3), np.ones(3)), (np.ones(3), np.full(3, 2.0)))
