"""Divergences against scipy and closed forms; smoothings are distributions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from synthlaw.common.errors import UsageError
from synthlaw.statistics.distances import divergence_rows
from synthlaw.statistics.divergence import (
    GOOD_TURING,
    SMOOTHINGS,
    Smoothing,
    cross_entropy,
    entropy,
    good_turing_mass,
    jensen_shannon,
    kl_divergence,
    smoothed,
)
from synthlaw.statistics.sets import compare
from synthlaw.statistics.unigrams import Unigrams

COUNTS = st.lists(st.integers(0, 1000), min_size=2, max_size=30).map(np.array)


def dirichlet(seed: int, size: int = 2000) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(size, 0.3))


def test_figures_are_those_of_scipy():
    p, q = dirichlet(0), dirichlet(1) + 1e-9
    q /= q.sum()
    assert kl_divergence(p, q) == pytest.approx(stats.entropy(p, q), rel=1e-9)
    assert entropy(p) == pytest.approx(stats.entropy(p), rel=1e-9)
    assert jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q) ** 2, rel=1e-9)
    assert cross_entropy(p, q) == pytest.approx(stats.entropy(p) + stats.entropy(p, q), rel=1e-9)


def test_geometric_distributions_have_their_closed_form():
    a, b = 0.03, 0.05
    k = np.arange(4000)
    p, q = a * (1 - a) ** k, b * (1 - b) ** k
    closed = np.log(a / b) + (1 - a) / a * np.log((1 - a) / (1 - b))
    assert kl_divergence(p, q) == pytest.approx(closed, abs=1e-6)


def test_sets_without_a_common_token_are_as_far_apart_as_can_be():
    p, q = np.array([0.5, 0.5, 0, 0]), np.array([0, 0, 0.5, 0.5])
    assert jensen_shannon(p, q) == pytest.approx(np.log(2))
    assert kl_divergence(p, q) == np.inf
    assert kl_divergence(p, p) == 0


@settings(max_examples=60, deadline=None)
@given(counts=COUNTS, smoothing=st.sampled_from(SMOOTHINGS))
def test_every_smoothing_gives_a_distribution(counts, smoothing):
    found = smoothed(counts, smoothing)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert (found >= 0).all()
    order = np.argsort(counts, kind="stable")
    seen = found[order][counts[order] > 0]
    assert (np.diff(seen) >= -1e-15).all()


def test_good_turing_takes_the_mass_of_tokens_seen_once():
    counts = np.array([5, 3, 1, 1, 0, 0, 0])
    assert good_turing_mass(counts) == pytest.approx(0.2)
    np.testing.assert_allclose(
        smoothed(counts, GOOD_TURING), [0.4, 0.24, 0.08, 0.08, 0.2 / 3, 0.2 / 3, 0.2 / 3]
    )
    assert good_turing_mass(np.zeros(3)) == 1
    assert good_turing_mass(np.array([1, 1, 0])) == pytest.approx(2 / 3)


def test_wrong_smoothings_are_refused():
    with pytest.raises(UsageError, match=r"'mixed' with weight 1\.5"):
        Smoothing("mixed", 1.5)


def draw(name: str, law: np.ndarray, tokens: int, random: np.random.Generator) -> Unigrams:
    return Unigrams(name, random.multinomial(tokens, law, size=16).astype(np.uint64), 16, "t")


def test_intervals_of_kl_and_of_its_difference_hold_the_truth():
    """Without bias from unseen tokens (every token is common), 90% intervals cover as they say."""
    random = np.random.default_rng(5)
    p, q, r = (law / law.sum() for law in (random.uniform(1, 3, 40) for _ in range(3)))
    covered = np.zeros(2)
    trials = 200
    for trial in range(trials):
        sets = compare(
            {"q": draw("q", q, 4000, random), "r": draw("r", r, 4000, random)},
            {"p": draw("p", p, 4000, random)},
            seed=trial,
        )
        rows = {row["training"]: row for row in divergence_rows(sets) if "kl_low" in row}
        truth = kl_divergence(p, q)
        difference = kl_divergence(p, r) - truth
        covered += [
            rows["q"]["kl_low"] <= truth <= rows["q"]["kl_high"],
            rows["r"]["difference_low"] <= difference <= rows["r"]["difference_high"],
        ]
    assert (covered / trials >= 0.83).all()
    assert (covered / trials <= 0.97).all()


def test_the_table_has_every_smoothing_and_marks_the_baseline():
    random = np.random.default_rng(6)
    law = np.full(20, 0.05)
    sets = compare(
        {"a": draw("a", law, 50, random), "b": draw("b", law, 50, random)},
        {"t": draw("t", law, 50, random)},
    )
    rows = divergence_rows(sets)
    assert len(rows) == 2 * len(SMOOTHINGS)
    for row in rows:
        assert row["kl"] == pytest.approx(
            row["cross_entropy"] - entropy(sets.tests["t"].probabilities())
        )
    assert [row["training"] for row in rows if "difference" in row] == ["b"]
