"""Kept losses: what was scored comes back, whole or not at all."""

from __future__ import annotations

import os
import resource
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.evaluation.token_losses import LossSource, TokenLosses, keeping_losses

SOURCE = LossSource("news", "model", "tokenizer", 50, window=8, stride=4, bos=1, dtype="fp32")


def write(folder: Path, documents: list[np.ndarray], source: LossSource = SOURCE) -> None:
    """Losses of value document + index / 100, last document first; the first token has none."""
    with keeping_losses(folder, documents, source) as keep:
        for number in reversed(range(len(documents))):
            size = len(documents[number])
            if size > 1:
                keep(number, 1, number + np.arange(1, size) / 100)


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(0, 9), max_size=5), vocab=st.sampled_from([50, 1 << 17]))
def test_what_is_kept_comes_back(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], vocab: int
) -> None:
    folder = tmp_path_factory.mktemp("losses") / "news"
    documents = [np.arange(size) + vocab - 9 for size in sizes]
    write(folder, documents, replace(SOURCE, vocab=vocab))
    back = TokenLosses(folder)
    assert len(back) == len(sizes)
    assert back.source.vocab == vocab
    assert back.manifest.scored == sum(max(0, size - 1) for size in sizes)
    back.verify()
    for number, document in enumerate(documents):
        tokens, losses = back.document(number)
        np.testing.assert_array_equal(tokens, document)
        wanted = number + np.arange(1, len(document)) / 100
        np.testing.assert_array_equal(losses[1:], wanted.astype(np.float32))
        assert np.isnan(losses[:1]).all()


def test_identity_follows_source_and_contents(tmp_path: Path) -> None:
    documents = [np.arange(5)]
    write(tmp_path / "a", documents)
    write(tmp_path / "b", documents)
    write(tmp_path / "c", documents, replace(SOURCE, stride=8))
    a, b, c = (TokenLosses(tmp_path / name).identity for name in "abc")
    assert a == b != c


def test_a_failed_scoring_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), keeping_losses(tmp_path / "x", [np.arange(3)], SOURCE):
        raise RuntimeError("the model broke")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write(tmp_path / "x", [np.zeros(40_000, dtype=np.int64)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["losses.npy", "tokens.npy", "offsets.npy", "losses.json"])
def test_torn_files_are_named(tmp_path: Path, name: str) -> None:
    write(tmp_path / "x", [np.arange(5), np.arange(3)])
    path = tmp_path / "x" / name
    os.truncate(path, path.stat().st_size - 5)
    with pytest.raises(UsageError, match=name):
        TokenLosses(tmp_path / "x")


def test_changed_bytes_are_found(tmp_path: Path) -> None:
    write(tmp_path / "x", [np.arange(5)])
    path = tmp_path / "x" / "losses.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"losses\.npy: SHA-256"):
        TokenLosses(tmp_path / "x").verify()
