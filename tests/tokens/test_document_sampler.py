"""Sampling by documents: shares of documents, pure windows, honest token shares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.tokens import document_sampler
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.document_sampler import DocumentSampler
from synthlaw.tokens.tokenizer import Tokenizer
from synthlaw.tokens.writing import write_texts

MakeSampler = Callable[..., DocumentSampler]
CONTEXT = 64


@pytest.fixture
def sets(tmp_path: Path, tokenizer: Tokenizer) -> dict[str, TokenDataset]:
    """Long natural documents and short synthetic ones, each with its number in it."""
    for name, count, words in (("natural", 60, 40), ("hq", 40, 8)):
        texts = [f"{name} {i} " + "river stone " * (words + i % 5) for i in range(count)]
        write_texts(tmp_path / name, texts, tokenizer, shard_characters=1500)
    return {name: TokenDataset(tmp_path / name) for name in ("natural", "hq")}


@pytest.fixture
def make(sets: dict[str, TokenDataset], monkeypatch: pytest.MonkeyPatch) -> MakeSampler:
    monkeypatch.setattr(document_sampler, "BLOCK", 16)

    def made(max_epochs: float = 1.0, seed: int = 3) -> DocumentSampler:
        shares = {"natural": 0.5, "hq": 0.5}
        return DocumentSampler(sets, shares, context=CONTEXT, seed=seed, max_epochs=max_epochs)

    return made


def string_of(sampler: DocumentSampler, sets: dict[str, TokenDataset], windows: int) -> np.ndarray:
    """The string of tokens that the first windows make."""
    rows = sampler.windows(np.arange(windows))
    return np.concatenate([rows[:, :-1].ravel(), rows[-1, -1:]])


def test_the_string_is_whole_documents_in_shares_of_documents(
    make: MakeSampler, sets: dict[str, TokenDataset], tokenizer: Tokenizer
) -> None:
    string = string_of(make(), sets, 150)
    ends = np.flatnonzero(string == tokenizer.eos)
    documents = np.split(string, ends + 1)[:-1]
    assert len(documents) > 20
    known = {
        data.document(i).astype(np.int64).tobytes(): (name, i)
        for name, data in sets.items()
        for i in range(data.manifest.documents)
    }
    found = [known[document.astype(np.int64).tobytes()] for document in documents]
    assert len(set(found)) == len(found)  # none twice
    for count in range(1, len(found)):
        assert abs(sum(name == "hq" for name, _ in found[:count]) - count / 2) < 1


@given(st.lists(st.integers(0, 100), min_size=1, max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_a_window_is_a_pure_function_of_its_number(make: MakeSampler, numbers: list[int]) -> None:
    in_order = make().windows(np.arange(101))
    assert np.array_equal(make().windows(np.array(numbers)), in_order[numbers])


def test_batches_are_the_same_whatever_the_world_size(make: MakeSampler) -> None:
    whole = make().batch(3, 7)
    for world in (1, 2, 3, 8):
        parts = [make().batch(3, 7, rank=rank, world=world) for rank in range(world)]
        assert np.array_equal(np.concatenate(parts), whole)


def test_use_says_that_token_shares_are_not_document_shares(
    make: MakeSampler, sets: dict[str, TokenDataset], tokenizer: Tokenizer
) -> None:
    windows = 150
    uses = {use.source: use for use in make().use(windows)}
    assert sum(use.tokens for use in uses.values()) == windows * CONTEXT
    assert uses["hq"].share_asked == 0.5
    assert uses["hq"].share_realised < 0.3
    assert uses["hq"].share_realised == uses["hq"].tokens / (windows * CONTEXT)
    string = string_of(make(), sets, windows)[:-1]
    begun = int((string == tokenizer.bos).sum())
    drawn = sum(round(use.epochs * sets[name].manifest.documents) for name, use in uses.items())
    assert drawn == begun


def test_a_spent_source_is_refused_and_repetition_is_counted(
    make: MakeSampler, sets: dict[str, TokenDataset]
) -> None:
    once = make()
    with pytest.raises(UsageError, match=r"source 'hq' holds 40 documents.*max_epochs"):
        once.check(100_000)
    with pytest.raises(UsageError, match="source 'hq' holds 40 documents"):
        once.window(100_000)
    tokens = sum(int(data.lengths()[:40].sum()) for data in sets.values())
    windows = tokens // CONTEXT - 40
    once.check(windows)
    twice = make(max_epochs=2)
    more = windows + windows // 3
    twice.check(more)
    assert max(use.epochs for use in twice.use(more)) > 1
    assert np.array_equal(twice.windows(np.arange(windows)), once.windows(np.arange(windows)))


def test_identity_changes_with_the_seed(make: MakeSampler) -> None:
    assert make().identity() == make().identity() != make(seed=4).identity()
