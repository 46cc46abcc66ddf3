"""Duplicates by hash and by similarity, against plain searches of all pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.common.wordhash import words_of
from synthlaw.corpus.dedup import duplicates
from synthlaw.corpus.dedup.duplicates import kept_paragraphs, near_repeats, repeats
from synthlaw.corpus.dedup.minhash import NUMBERS, bands, signature, similarity
from synthlaw.corpus.dedup.paragraphs import paragraph_hashes, without

PARTS = st.lists(st.lists(st.integers(0, 6), max_size=8), max_size=4)


@pytest.mark.parametrize("at_once", [1, 3, 1 << 24])
@pytest.mark.parametrize("columns", [1, 2])
@given(lists=PARTS)
@settings(max_examples=40, deadline=None)
def test_repeats_are_those_of_a_plain_search(
    at_once: int, columns: int, lists: list[list[int]]
) -> None:
    # Spread over all 64 bits, so that buckets differ; 0 stays 0.
    spread = [np.array(x, np.uint64) * np.uint64(0x9E3779B97F4A7C15) for x in lists]
    parts = spread if columns == 1 else [np.stack([x, x >> np.uint64(3)], axis=1) for x in spread]
    flat = [value for values in lists for value in values]
    expected = {
        n: (flat.index(v), flat[:n].count(v)) for n, v in enumerate(flat) if v and v in flat[:n]
    }
    before, duplicates.AT_ONCE = duplicates.AT_ONCE, at_once
    try:
        found = list(repeats(parts))
    finally:
        duplicates.AT_ONCE = before
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
    kept_paragraphs(parts, tmp_path / "kept.npy")
    kept = np.load(tmp_path / "kept.npy")
    assert without(texts[0], kept[:4]) == texts[0]
    assert without(texts[1], kept[4:]) == "•\nc"


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


def test_near_duplicates_are_joined_and_the_first_is_kept() -> None:
    rng = np.random.default_rng(6)
    base = [[f"w{n}" for n in rng.integers(0, 10**5, 200)] for _ in range(30)]
    texts = [
        *base,
        *(edited(rng, words, 0.01) for words in base[:10]),
        *(edited(rng, words, 0.01) for words in base[:5]),
    ]
    signatures = np.stack([signature(words_of(" ".join(text)).hashes) for text in texts])
    numbers = np.arange(len(texts))
    later, first = near_repeats(signatures, numbers, 0.7)
    expected = {30 + n: n for n in range(10)} | {40 + n: n for n in range(5)}
    assert dict(zip(later.tolist(), first.tolist(), strict=True)) == expected
    # Without the originals, the first of the copies is the one that stays.
    later, first = near_repeats(signatures, numbers[30:], 0.7)
    assert dict(zip(later.tolist(), first.tolist(), strict=True)) == {
        40 + n: 30 + n for n in range(5)
    }


def test_short_texts_are_compared_whole() -> None:
    one, same, other = (
        signature(words_of(text).hashes) for text in ("two words", "Two, words!", "two birds")
    )
    assert similarity(one, same) == 1
    assert similarity(one, other) < 0.1
    assert similarity(signature(words_of("").hashes), signature(words_of("!").hashes)) == 1
