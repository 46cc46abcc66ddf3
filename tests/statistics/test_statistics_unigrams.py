"""Unigram counts: what was counted, whatever the blocks, the processes or the size."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.statistics import unigrams as module
from synthlaw.statistics.sets import compare
from synthlaw.statistics.unigrams import (
    Unigrams,
    count_range,
    count_unigrams,
    mixed,
    read_unigrams,
    thinned,
    write_unigrams,
)

DOCUMENTS = st.lists(st.lists(st.integers(0, 47), max_size=30), max_size=40)


@settings(max_examples=40, deadline=None)
@given(documents=DOCUMENTS)
def test_counts_are_those_of_the_text_without_what_stands_around_it(make_set, documents):
    found = count_unigrams("set", make_set(documents))
    expected = Counter(chain.from_iterable(documents))
    assert found.counts.dtype == np.uint64
    assert {i: int(n) for i, n in enumerate(found.counts) if n} == dict(expected)
    assert found.tokens == sum(map(len, documents))
    assert len(found.blocks) <= module.BLOCKS


def test_blocks_are_whole_documents_of_about_equal_size(make_set):
    documents = [[i % 40] * 25 for i in range(64)]
    sizes = count_unigrams("set", make_set(documents)).blocks.sum(axis=1)
    assert len(sizes) == module.BLOCKS
    assert set(sizes.tolist()) == {100}


def test_processes_count_the_same(make_set, monkeypatch):
    random = np.random.default_rng(0)
    data = make_set([random.integers(0, 48, 300) for _ in range(30)])
    alone = count_unigrams("set", data)
    monkeypatch.setattr(module, "PARALLEL_TOKENS", 1)
    monkeypatch.setattr(module, "PART", 100)
    together = count_unigrams("set", data, workers=2)
    np.testing.assert_array_equal(alone.blocks, together.blocks)


def test_chunks_add_up_to_one_bincount(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 7)
    tokens = np.random.default_rng(1).integers(0, 300, 1000).astype(np.uint32)
    np.testing.assert_array_equal(count_range(tokens, 300), np.bincount(tokens, minlength=300))


def test_an_id_outside_the_vocabulary_is_named_with_its_place(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 4)
    with pytest.raises(UsageError, match=r"news: found token id 60 at position 105;.*below 50"):
        count_range(np.array([1, 2, 3, 4, 5, 60, 7]), 50, "news", first=100)


def test_kept_counts_come_back_for_the_same_set_only(tmp_path, make_set):
    found = count_unigrams("set", make_set([[1, 2, 3]]))
    write_unigrams(tmp_path / "kept", found, "identity")
    back = read_unigrams(tmp_path / "kept", "identity")
    assert back is not None
    np.testing.assert_array_equal(back.blocks, found.blocks)
    assert read_unigrams(tmp_path / "kept", "another") is None
    blocks = tmp_path / "kept" / "blocks.npy"
    blocks.write_bytes(blocks.read_bytes()[:90])
    assert read_unigrams(tmp_path / "kept", "identity") is None


def simulated(name: str, blocks: int, vocab: int, tokens: int, seed: int) -> Unigrams:
    random = np.random.default_rng(seed)
    law = 1 / np.arange(1, vocab + 1)
    drawn = random.multinomial(tokens, law / law.sum(), size=blocks).astype(np.uint64)
    return Unigrams(name, drawn, blocks, "numbers")


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0.01, 1.0), seed=st.integers(0, 1000))
def test_a_thinned_set_is_a_sample_of_exactly_the_size_asked(share, seed):
    whole = simulated("set", 5, 60, 400, seed)
    size = int(share * whole.tokens)
    part = thinned(whole, size, seed)
    assert part.tokens == size
    assert (part.blocks <= whole.blocks).all()
    np.testing.assert_array_equal(part.blocks, thinned(whole, size, seed).blocks)


def test_thinning_keeps_proportions_beyond_what_numpy_draws_itself():
    counts = np.array([[2_000_000_000, 1_000_000_000, 0, 1_000_000]], dtype=np.uint64)
    part = thinned(Unigrams("large", counts, 1, "numbers"), 3_001_000, 0)
    assert part.tokens == 3_001_000
    np.testing.assert_allclose(part.counts / 1000, [2000, 1000, 0, 1], rtol=0.1, atol=0.02)


def test_a_mixture_holds_its_shares_without_reading_anything():
    a, b = simulated("a", 4, 30, 500, 1), simulated("b", 4, 30, 500, 2)
    shifted = Unigrams("b", np.roll(np.pad(b.blocks, ((0, 0), (0, 30))), 30, axis=1), 4, "numbers")
    wide = Unigrams("a", np.pad(a.blocks, ((0, 0), (0, 30))), 4, "numbers")
    both = mixed("33b", {"a": wide, "b": shifted}, {"a": 0.67, "b": 0.33}, 1000, 0)
    assert both.counts[:30].sum() == 670
    assert both.counts[30:].sum() == 330
    assert both.documents == 8


def test_a_mixture_says_what_it_lacks():
    a = simulated("a", 4, 30, 500, 1)
    with pytest.raises(UsageError, match="mixture 'm': there is no set 'b'"):
        mixed("m", {"a": a}, {"a": 0.5, "b": 0.5}, 100, 0)
    with pytest.raises(UsageError, match=r"'a' holds 2,000 tokens and its share of 5,000 is 5,000"):
        mixed("m", {"a": a}, {"a": 1.0}, 5000, 0)


def test_comparison_refuses_what_cannot_be_compared(make_set):
    a = simulated("a", 4, 30, 500, 1)
    other = Unigrams("b", a.blocks, 4, "another tokenizer")
    empty = count_unigrams("none", make_set([[], []], vocab=30))
    with pytest.raises(UsageError, match="different tokenizers"):
        compare({"a": a}, {"b": other})
    with pytest.raises(UsageError, match="'none': found no token of text in 2 documents"):
        compare({"a": a}, {"none": empty})
    with pytest.raises(UsageError, match="mixture 'a': the name is that of a training set"):
        compare({"a": a}, {}, mixtures={"a": {"a": 1.0}})
    with pytest.raises(UsageError, match="no training set 'web'; there are a"):
        compare({"a": a}, {}, baseline="web")
    with pytest.raises(UsageError, match=r"the smallest set, 'a', holds 2,000"):
        compare({"a": a}, {}, tokens=3000)


def test_sets_are_compared_at_one_size():
    a, b = simulated("a", 4, 30, 500, 1), simulated("b", 4, 30, 5000, 2)
    found = compare({"a": a, "b": b}, {}, mixtures={"half": {"a": 0.5, "b": 0.5}})
    assert {one.tokens for one in found.equal.values()} == {1800}
    assert found.role("half") == "mixture"
