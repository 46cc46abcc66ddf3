"""A small tokenizer and token sets of known content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from token_texts import prose

from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.tokenizer import Tokenizer, train_bpe
from synthlaw.tokens.writing import write_texts


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """A BPE of 300 entries."""
    path = tmp_path_factory.mktemp("bpe") / "tokenizer.json"
    train_bpe((prose(seed, 300) for seed in range(5)), 300, path)
    return Tokenizer(path)


@pytest.fixture
def make_set(tmp_path: Path, tokenizer: Tokenizer) -> Callable[[str, int], TokenDataset]:
    """A token set by name and number of documents."""

    def make(name: str, documents: int) -> TokenDataset:
        texts = [prose(1000 * len(name) + i, 90) for i in range(documents)]
        # Shards so small that windows cross their borders.
        write_texts(tmp_path / name, texts, tokenizer, shard_characters=5000)
        return TokenDataset(tmp_path / name)

    return make
