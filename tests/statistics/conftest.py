"""Token sets of known ids: a text is its ids, written with spaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.writing import write_texts

VOCAB = 50
BOS, EOS = 48, 49
MakeSet = Callable[..., TokenDataset]


def numbers(vocab: int, digest: str) -> Any:
    """A tokenizer that reads ids; BOS and EOS are the two last ones."""
    return SimpleNamespace(
        vocab=vocab,
        bos=vocab - 2,
        eos=vocab - 1,
        digest=digest,
        name=digest,
        dtype="uint16",
        encode=lambda texts, dtype: [np.array([int(w) for w in t.split()], dtype) for t in texts],
    )


@pytest.fixture(scope="session")
def make_set(tmp_path_factory: pytest.TempPathFactory) -> MakeSet:
    """A token set of documents given as ids."""

    def make(
        documents: Sequence[Sequence[int] | np.ndarray], vocab: int = VOCAB, digest: str = "numbers"
    ) -> TokenDataset:
        folder: Path = tmp_path_factory.mktemp("set")
        texts = [" ".join(str(int(token)) for token in document) for document in documents]
        # Shards so small that blocks and windows cross their borders.
        write_texts(folder, texts, numbers(vocab, digest), shard_characters=500)
        return TokenDataset(folder)

    return make
