"""Support and growth against scipy's distributions; Good-Turing's interval on simulated sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from synthlaw.statistics import support as module
from synthlaw.statistics.jackknife import jackknife
from synthlaw.statistics.support import curve_sizes, expected_types, support, types_by_blocks


@settings(max_examples=40, deadline=None)
@given(counts=st.lists(st.integers(0, 30), min_size=1, max_size=20), share=st.floats(0, 1))
def test_expected_types_are_those_of_the_hypergeometric_distribution(counts, share):
    counts = np.array(counts)
    total = int(counts.sum())
    size = int(share * total)
    naive = sum(1 - stats.hypergeom.pmf(0, total, c, size) for c in counts if c)
    assert expected_types(counts, [size])[0] == pytest.approx(naive, abs=1e-6)


def test_large_sets_take_draws_with_replacement():
    counts = np.array([1, 10, 1000, module.EXACT_TOKENS * 10])
    total, size = int(counts.sum()), 1_000_000
    exact = sum(1 - np.prod(1 - size / (total - np.arange(min(c, 100_000)))) for c in counts)
    assert expected_types(counts, [size])[0] == pytest.approx(exact, rel=1e-6)


def test_a_size_beyond_the_set_is_no_number():
    assert np.isnan(expected_types(np.array([2, 1]), [4])[0])
    assert expected_types(np.array([2, 1]), [3])[0] == 2


def test_closed_forms():
    found = support(np.array([4, 2, 2, 1, 1, 1, 0]))
    assert (found.tokens, found.types, found.once, found.twice) == (11, 6, 3, 2)
    assert found.unseen_mass == pytest.approx(3 / 11)
    assert found.chao1 == pytest.approx(6 + 3 * 2 / (2 * 3))
    assert found.growth == pytest.approx(0.5)
    z = stats.norm.ppf(0.95)
    assert found.unseen_high - found.unseen_mass == pytest.approx(
        z * np.sqrt(3 * (1 - 3 / 11) + 2 * 2) / 11
    )


def test_an_empty_set_has_seen_nothing():
    found = support(np.zeros(5, dtype=np.uint64))
    assert (found.types, found.unseen_mass, found.growth) == (0, 1, 0)
    assert (found.unseen_low, found.unseen_high) == (0, 1)
    assert curve_sizes(0) == []


def test_one_token():
    found = support(np.array([0, 1]))
    assert (found.types, found.unseen_mass) == (1, 0.5)


def test_the_unseen_mass_lies_in_its_interval():
    """Zipf-like sets whose true unseen mass is known: 90% intervals cover as they say."""
    random = np.random.default_rng(0)
    law = 1 / np.arange(1, 5001) ** 1.1
    law /= law.sum()
    inside = 0
    for _ in range(400):
        counts = random.multinomial(3000, law)
        found = support(counts)
        inside += found.unseen_low <= law[counts == 0].sum() <= found.unseen_high
    assert 0.85 <= inside / 400 <= 0.95


def test_documents_that_repeat_themselves_grow_more_slowly_than_tokens_drawn_alone():
    blocks = np.kron(np.eye(8, dtype=np.uint64), np.full((1, 10), 5, dtype=np.uint64))
    tokens, types = types_by_blocks(blocks)
    np.testing.assert_allclose(tokens, 50 * np.arange(1, 9))
    np.testing.assert_allclose(types, 10 * np.arange(1, 9))
    assert types[0] < expected_types(blocks.sum(axis=0), [50])[0]


def test_curves_end_at_the_whole_set():
    sizes = curve_sizes(12_345)
    assert (sizes[0], sizes[-1]) == (1000, 12_345)
    assert sizes == sorted(set(sizes))


def test_the_jackknife_of_a_mean_is_its_classical_error():
    random = np.random.default_rng(2)
    blocks = random.poisson([[30, 70]], size=(12, 2)).astype(np.uint64)
    blocks[:, 1] = 100 - blocks[:, 0]  # blocks of one size
    found = jackknife(blocks, lambda counts: counts[0] / counts.sum())[0]
    each = blocks[:, 0] / 100
    assert found.error == pytest.approx(each.std(ddof=1) / np.sqrt(12), rel=1e-9)


def test_few_blocks_give_no_interval():
    found = jackknife(np.ones((3, 4), dtype=np.uint64), lambda counts: counts.sum())[0]
    assert found.value == 12
    assert np.isnan(found.low)
