"""n-grams against plain counting; repetition by hand; samples of equal size."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from synthlaw.common.errors import UsageError
from synthlaw.statistics.ngram_tables import ngram_rows
from synthlaw.statistics.ngrams import NGrams, count_ngrams, overlap
from synthlaw.statistics.sampling import sample_windows

HASHED = 1 << 20
"""A vocabulary whose 4-grams do not fit a key of 64 bits."""

WINDOWS = st.lists(
    st.lists(st.integers(0, 4), min_size=7, max_size=7), min_size=1, max_size=12
).map(np.array)


def plain(windows: np.ndarray, n: int, special: tuple[int, ...]) -> tuple[Counter, Counter]:
    """Occurrences of every n-gram, and the windows that have it."""
    counts, seen = Counter(), Counter()
    for row in windows.tolist():
        grams = [tuple(row[i : i + n]) for i in range(len(row) - n + 1)]
        grams = [gram for gram in grams if not set(gram) & set(special)]
        counts.update(grams)
        seen.update(set(grams))
    return counts, seen


@settings(max_examples=60, deadline=None)
@given(
    windows=WINDOWS,
    n=st.integers(1, 5),
    vocab=st.sampled_from([5, HASHED]),
    special=st.sampled_from([(), (0,), (0, 3)]),
    chunk=st.integers(1, 12),
)
def test_counts_are_those_of_plain_counting(windows, n, vocab, special, chunk):
    parts = [windows[i : i + chunk] for i in range(0, len(windows), chunk)]
    found = count_ngrams(parts, n, vocab, special)
    counts, seen = plain(windows, n, special)
    assert sorted(found.counts.tolist()) == sorted(counts.values())
    assert sorted(found.windows.tolist()) == sorted(seen.values())
    total = sum(counts.values())
    assert (found.total, found.distinct) == (total, len(counts))
    if total:
        assert found.distinct_ratio == pytest.approx(len(counts) / total)
        assert found.repeated_within == pytest.approx(1 - sum(seen.values()) / total)
        across = sum(times for times in seen.values() if times > 1)
        assert found.repeated_across == pytest.approx(across / sum(seen.values()))
    assert (np.diff(found.keys.astype(object)) > 0).all()


def test_nothing_to_count():
    empty = count_ngrams([], 2, 10)
    assert (empty.total, empty.distinct_ratio, empty.repeated_within) == (0, 0, 0)
    short = count_ngrams([np.array([[1, 2]])], 4, 10)
    assert short.total == 0
    with pytest.raises(UsageError, match="n = 6; expected 1 to 5"):
        count_ngrams([], 6, 10)


@settings(max_examples=30, deadline=None)
@given(first=WINDOWS, second=WINDOWS)
def test_overlap_is_that_of_the_distributions(first, second):
    a, b = count_ngrams([first], 2, 5), count_ngrams([second], 2, 5)
    found = overlap(a, b)
    every = sorted(set(a.keys.tolist()) | set(b.keys.tolist()))
    p, q = (dense(grams, every) for grams in (a, b))
    assert found.js == pytest.approx(jensenshannon(p, q) ** 2, abs=1e-12)
    assert found.covered == pytest.approx(p[q > 0].sum())


def dense(grams: NGrams, every: list[int]) -> np.ndarray:
    counts = dict(zip(grams.keys.tolist(), grams.counts.tolist(), strict=True))
    return np.array([counts.get(key, 0) for key in every]) / grams.total


def test_samples_are_whole_windows_spread_over_the_set(make_set):
    data = make_set([list(range(18)) for _ in range(50)])  # 20 ids each, 1,000 in all
    found = np.concatenate(list(sample_windows(data, 205, window=20)))
    assert found.shape == (10, 20)
    assert found[:, 0].tolist() == [48] * 10
    everything = np.concatenate(list(sample_windows(data, window=20)))
    np.testing.assert_array_equal(everything.ravel(), data.read(0, data.manifest.tokens))
    with pytest.raises(UsageError, match=r"1,000 tokens, 50 windows of 20; 100 windows"):
        list(sample_windows(data, 2000, window=20))


def test_sets_of_different_size_are_counted_at_one_size(make_set):
    random = np.random.default_rng(0)
    small = make_set([random.integers(0, 40, 700) for _ in range(3)])
    large = make_set([random.integers(0, 40, 700) for _ in range(9)])
    rows, overlaps = ngram_rows({"small": small, "large": large}, {"test": small}, longest=2)
    sizes = {row["n"]: [] for row in rows}
    for row in rows:
        if row["role"] == "training":
            sizes[row["n"]].append(row["ngrams"])
    assert all(abs(a - b) < 20 for a, b in sizes.values())  # all but those with a BOS or an EOS
    same = next(r for r in overlaps if r["training"] == "small" and r["n"] == 2)
    assert same["covered"] == pytest.approx(1)
    assert same["js"] == pytest.approx(0, abs=1e-12)
