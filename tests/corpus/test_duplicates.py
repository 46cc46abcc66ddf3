"""Duplicates by hash and by similarity, against plain searches of all pairs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.common.wordhash import words_of
from synthlaw.corpus.dedup import buckets
from synthlaw.corpus.dedup.buckets import RowScatter, Scatter
from synthlaw.corpus.dedup.duplicates import nth_smallest, repeats
from synthlaw.corpus.dedup.minhash import NUMBERS, band_keys, bands, signature, similarity
from synthlaw.corpus.dedup.near import Signatures, components, near_repeats
from synthlaw.corpus.dedup.paragraphs import paragraph_hashes, without


@contextmanager
def few_at_once(records: int) -> Iterator[None]:
    """Buckets and buffers so small that there are many of them."""
    before = buckets.AT_ONCE, buckets.BUFFER_BYTES
    buckets.AT_ONCE, buckets.BUFFER_BYTES = records, 50 * records
    try:
        yield
    finally:
        buckets.AT_ONCE, buckets.BUFFER_BYTES = before


PARTS = st.lists(st.lists(st.integers(0, 6), max_size=8), max_size=4)


@pytest.mark.parametrize("at_once", [1, 3, 1 << 24])
@pytest.mark.parametrize("columns", [1, 2])
@given(lists=PARTS)
@settings(max_examples=40, deadline=None)
def test_repeats_are_those_of_a_plain_search(
    tmp_path_factory: pytest.TempPathFactory, at_once: int, columns: int, lists: list[list[int]]
) -> None:
    # Spread over all 64 bits, so that buckets differ; 0 stays 0.
    spread = [np.array(x, np.uint64) * np.uint64(0x9E3779B97F4A7C15) for x in lists]
    parts = spread if columns == 1 else [np.stack([x, x >> np.uint64(3)], axis=1) for x in spread]
    flat = [value for values in lists for value in values]
    expected = {
        n: (flat.index(v), flat[:n].count(v)) for n, v in enumerate(flat) if v and v in flat[:n]
    }
    with few_at_once(at_once):
        found = list(repeats(iter(parts), len(flat), tmp_path_factory.mktemp("x") / "buckets"))
    rows = [
        (int(a), (int(b), int(r)))
        for f in found
        for a, b, r in zip(f.later, f.first, f.rank, strict=True)
    ]
    assert dict(rows) == expected and len(rows) == len(expected)


LINE = st.sampled_from(["", "One line.", "one LINE", "Page 3 of 7", "page 1 of 9", "•••", "other"])


@given(st.lists(LINE, max_size=8))
def test_paragraphs_are_equal_by_letters_and_digits_as_zeros(lines: list[str]) -> None:
    plain = [
        "".join("0" if c.isdigit() else c for c in line.lower() if c.isalnum()) for line in lines
    ]
    found = paragraph_hashes("\n".join(lines))
    assert len(found) == max(1, len(lines))
    for n, one in enumerate(plain):
        assert (found[n] == 0) == (one == "")
        for k, other in enumerate(plain):
            assert (found[n] == found[k]) == (one == other)


def test_the_first_paragraph_of_the_corpus_stays(tmp_path: Path) -> None:
    texts = ["a one\nshared 1\n\nb", "shared 2!\n•\nc\na one"]
    parts = [paragraph_hashes(text) for text in texts]
    kept = np.ones(8, bool)
    for found in repeats(parts, 8, tmp_path / "buckets"):
        kept[found.later] = False
    assert without(texts[0], kept[:4]) == texts[0]
    assert without(texts[1], kept[4:]) == "•\nc"


@pytest.mark.parametrize("at_once", [1, 3, 1 << 24])
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99)), max_size=30))
@settings(max_examples=20, deadline=None)
def test_records_come_back_from_their_buckets_in_order(
    tmp_path_factory: pytest.TempPathFactory, at_once: int, rows: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("x")
    with few_at_once(at_once):
        scatter, values = Scatter(folder / "records", 1), RowScatter(folder / "rows")
        for start in range(0, len(rows), 4):
            chunk = np.array(rows[start : start + 4]).reshape(-1, 2)
            scatter.add(chunk[:, 0], chunk[:, 1:].astype(np.uint64))
            for bucket, value in chunk.tolist():
                values.add(bucket, [value, "ü"])
        for bucket in range(10):
            expected = [value for place, value in rows if place == bucket]
            assert scatter.read(bucket)[:, 0].tolist() == expected
            assert values.read(bucket) == [[value, "ü"] for value in expected]
        assert sum(len(found) for found in scatter.each()) == len(rows)


@given(
    st.lists(st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 3), max_size=9), max_size=5),
    st.integers(1, 40),
)
def test_the_nth_smallest_is_that_of_a_sort(lists: list[list[int]], n: int) -> None:
    parts = [np.array(values, np.uint64) for values in lists]
    flat = sorted(value for values in lists for value in values)
    expected = flat[min(n, len(flat)) - 1] if flat else None
    assert nth_smallest(lambda: iter(parts), n) == expected


@pytest.mark.parametrize("at_once", [1, 5, 1 << 24])
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40))
@settings(max_examples=30, deadline=None)
def test_groups_are_the_connected_ones_and_the_first_is_kept(
    tmp_path_factory: pytest.TempPathFactory, at_once: int, pairs: list[tuple[int, int]]
) -> None:
    pairs = [(one, other) for one, other in pairs if one != other]
    label = list(range(31))
    for _ in label:
        for one, other in pairs:
            label[one] = label[other] = min(label[one], label[other])
    folder = tmp_path_factory.mktemp("x")
    with few_at_once(at_once):
        edges = Scatter(folder / "edges", 2)
        for pair in pairs:
            edges.add(np.zeros(1, np.int64), np.array([pair], np.uint64))
        found = list(components(edges, folder))
    rows = [
        row for later, first in found for row in zip(later.tolist(), first.tolist(), strict=True)
    ]
    assert len(rows) == len(dict(rows))
    assert dict(rows) == {node: first for node, first in enumerate(label) if node != first}


def test_a_long_chain_becomes_one_group(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    order = rng.permutation(3000)
    with few_at_once(500):
        edges = Scatter(tmp_path / "edges", 2)
        pairs = np.column_stack([order[:-1], order[1:]]).astype(np.uint64)
        edges.add(np.zeros(len(pairs), np.int64), pairs)
        found = list(components(edges, tmp_path))
    assert sorted(n for later, _ in found for n in later.tolist()) == list(range(1, 3000))
    assert {n for _, first in found for n in first.tolist()} == {0}


def edited(rng: np.random.Generator, words: list[str], share: float) -> list[str]:
    return [f"new{rng.integers(10**6)}" if rng.random() < share else word for word in words]


def test_similarity_is_that_of_the_shingles() -> None:
    rng = np.random.default_rng(5)
    errors = []
    for share in np.linspace(0, 0.2, 60):
        words = [f"w{n}" for n in rng.integers(0, 10**6, 400)]
        other = edited(rng, words, share)
        sets = [{tuple(t[i : i + 5]) for i in range(len(t) - 4)} for t in (words, other)]
        true = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
        one, two = (signature(words_of(" ".join(t)).hashes) for t in (words, other))
        errors.append(float(similarity(one, two)) - true)
    # The standard error of 128 draws is at most 0.044.
    assert abs(np.mean(errors)) < 0.02
    assert np.std(errors) < 0.055


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9, 1.0])
def test_bands_let_pairs_at_the_threshold_meet(threshold: float) -> None:
    count, rows = bands(threshold)
    assert count * rows <= NUMBERS
    assert 1 - (1 - threshold**rows) ** count >= 0.99


@pytest.mark.parametrize("at_once", [4, 1 << 24])
def test_near_duplicates_are_joined_and_the_first_is_kept(tmp_path: Path, at_once: int) -> None:
    rng = np.random.default_rng(6)
    base = [[f"w{n}" for n in rng.integers(0, 10**5, 200)] for _ in range(30)]
    texts = [
        *base,
        *(edited(rng, words, 0.01) for words in base[:10]),
        *(edited(rng, words, 0.01) for words in base[:5]),
    ]
    signatures = np.stack([signature(words_of(" ".join(text)).hashes) for text in texts])
    starts = np.array([0, 7, 7, 33, 45])
    for part in range(4):
        np.save(tmp_path / f"{part}.npy", signatures[starts[part] : starts[part + 1]])
    stored = Signatures([tmp_path / f"{part}.npy" for part in range(4)], starts)
    count, rows = bands(0.7)

    def found(among: np.ndarray) -> dict[int, int]:
        chunks = list(np.array_split(among, 3))
        keys = [
            lambda band=band: [(band_keys(signatures[c], band, rows), c) for c in chunks]
            for band in range(count)
        ]
        pairs = near_repeats(keys, len(among), stored, 0.7, tmp_path / "between")
        return {int(a): int(b) for later, first in pairs for a, b in zip(later, first, strict=True)}

    with few_at_once(at_once):
        everyone = found(np.arange(len(texts)))
        assert everyone == {30 + n: n for n in range(10)} | {40 + n: n for n in range(5)}
        # Without the originals, the first of the copies is the one that stays.
        assert found(np.arange(30, 45)) == {40 + n: 30 + n for n in range(5)}


def test_short_texts_are_compared_whole() -> None:
    one, same, other = (
        signature(words_of(text).hashes) for text in ("two words", "Two, words!", "two birds")
    )
    assert similarity(one, same) == 1
    assert similarity(one, other) < 0.1
    assert similarity(signature(words_of("").hashes), signature(words_of("!").hashes)) == 1
