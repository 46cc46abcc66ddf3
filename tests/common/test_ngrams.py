"""Words and n-grams as hashes agree with the same rules written out plainly in Python."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from synthlaw.common import wordhash
from synthlaw.common.ngrams import NgramIndex
from synthlaw.common.wordhash import ngrams_of, words_of

TEXT = st.text(st.sampled_from("aAbB'’.,- \n\u00ad\u0301éÉ東京ア9😀\t"), max_size=40)


def plain_words(text: str) -> list[tuple[str, int, int]]:
    """Normalised words with their bounds, character by character."""
    found: list[tuple[str, int, int]] = []
    open_word = False
    for place, character in enumerate(text):
        category = unicodedata.category(character)
        if category == "Cf" or character in "'’":
            continue
        if category[0] not in "LNM":
            open_word = False
        elif character in "東京ア":
            found.append((character, place, place + 1))
            open_word = False
        elif open_word:
            word, start, _ = found[-1]
            found[-1] = (word + character.lower(), start, place + 1)
        else:
            found.append((character.lower(), place, place + 1))
            open_word = True
    return found


@given(TEXT)
@example("")
@example("Don't stop—Don’t")
def test_words_and_their_places_are_those_of_the_rules(text: str) -> None:
    words, plain = words_of(text), plain_words(text)
    assert list(zip(words.starts, words.ends, strict=True)) == [(a, b) for _, a, b in plain]
    again = {word: words_of(word).hashes.tolist() for word, _, _ in plain}
    assert words.hashes.tolist() == [h for word, _, _ in plain for h in again[word]]
    assert len(set(words.hashes.tolist())) == len({word for word, _, _ in plain})


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "one two, three " * 40 + "x" * 50 + " end"
    whole = words_of(text)
    monkeypatch.setattr(wordhash, "_BLOCK", 64)
    parts = words_of(text)
    for name in ("hashes", "starts", "ends"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))


def test_a_long_vocabulary_has_no_collision() -> None:
    text = " ".join(f"{a}{b}{c}" for a in "abcdefghij" for b in "klmnopqrst" for c in range(2000))
    assert len(np.unique(words_of(text).hashes)) == 200_000


@given(st.lists(st.sampled_from("abc"), max_size=30), st.integers(1, 5))
def test_equal_ngrams_and_only_they_have_equal_hashes(words: list[str], n: int) -> None:
    found = ngrams_of(words_of(" ".join(words)).hashes, n).tolist()
    plain = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    assert len(found) == len(plain)
    assert len(set(zip(plain, found, strict=True))) == len(set(plain)) == len(set(found))


LETTERS = st.lists(st.sampled_from("abcd"), max_size=25).map(" ".join)


@given(st.lists(LETTERS, max_size=3), st.lists(LETTERS, max_size=3), LETTERS)
def test_overlaps_are_those_of_a_plain_search(one: list[str], two: list[str], text: str) -> None:
    n = 3
    sets = {"one": one, "two": two}
    index = NgramIndex(
        {name: [(f"{name}{i}", t) for i, t in enumerate(texts)] for name, texts in sets.items()}, n
    )
    found = {overlap.set: overlap for overlap in index.find(text)}
    words = text.split()
    grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    for name, texts in sets.items():
        holders = {
            f"{name}{k}": {tuple(t.split()[i : i + n]) for i in range(len(t.split()) - n + 1)}
            for k, t in enumerate(texts)
        }
        assert index.too_short[name] == sum(not held for held in holders.values())
        shared = [i for i, gram in enumerate(grams) if any(gram in h for h in holders.values())]
        covered = sorted({i + k for i in shared for k in range(n)})
        if not shared:
            assert name not in found
            continue
        overlap = found[name]
        assert overlap.words == len(covered)
        inside = [w for a, b in overlap.spans for w in text[a:b].split()]
        assert inside == [words[i] for i in covered]
        touched = {k for k, held in holders.items() if any(gram in held for gram in grams)}
        assert {index.identities[number] for number in overlap.documents} == touched


def test_punctuation_and_case_hide_nothing() -> None:
    index = NgramIndex({"set": [("d", "The quick, brown fox (he said) jumps over it.")]}, 5)
    (overlap,) = index.find("Yes. THE QUICK BROWN FOX — HE SAID — jumps")
    assert overlap.words == 7
    assert overlap.spans == [(5, 42)]


def test_a_saved_index_finds_the_same(tmp_path: Path) -> None:
    sets = {"a": [("a0", "one two three four five"), ("a1", "x")], "b": [("b0", "five six seven")]}
    index = NgramIndex(sets, 3)
    index.save(tmp_path)
    loaded = NgramIndex.load(tmp_path)
    for text in ("zero one two three", "five six seven eight", "nothing of it"):
        assert loaded.find(text) == index.find(text)
    assert (loaded.documents, loaded.too_short) == (index.documents, index.too_short)
