"""Token sets: what is written is what is read; damage is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.tokens.dataset import TokenDataset, write_dataset
from synthlaw.tokens.tokenizer import BOS, EOS, Tokenizer, train_bpe

MakeSet = Callable[[str, int], TokenDataset]


def test_documents_come_back_between_bos_and_eos(tmp_path: Path, tokenizer: Tokenizer) -> None:
    texts = ["The river of the stone.", "", "Übergröße 漢字 \n\n tab\t"]
    manifest = write_dataset(tmp_path, texts, tokenizer)
    data = TokenDataset(tmp_path)
    assert manifest.documents == 3
    assert manifest.bytes == sum(len(text.encode()) for text in texts)
    for i, text in enumerate(texts):
        ids = data.document(i)
        assert (ids[0], ids[-1]) == (tokenizer.bos, tokenizer.eos)
        assert tokenizer.decode(ids) == text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
@settings(max_examples=60)
def test_encoding_loses_nothing_and_makes_no_special_token(tokenizer: Tokenizer, text: str) -> None:
    (ids,) = tokenizer.encode([text])
    assert tokenizer.decode(ids) == text
    assert not {tokenizer.bos, tokenizer.eos} & set(ids.tolist())


def test_special_tokens_spelled_in_a_document_are_text(tokenizer: Tokenizer) -> None:
    text = f"before {EOS} between {BOS} after"
    (ids,) = tokenizer.encode([text])
    assert not {tokenizer.bos, tokenizer.eos} & set(ids.tolist())
    assert tokenizer.decode(ids) == text


def test_the_same_text_trains_the_same_tokenizer(tmp_path: Path) -> None:
    for name in ("a", "b"):
        train_bpe(["one two three two one"] * 50, 280, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_flipped_byte_is_found(make_set: MakeSet) -> None:
    data = make_set("x", 3)
    path = data.folder / "tokens.bin"
    raw = bytearray(path.read_bytes())
    raw[10] ^= 1
    path.write_bytes(raw)
    with pytest.raises(UsageError, match=r"tokens\.bin.*changed after"):
        TokenDataset(data.folder).verify()


def test_a_torn_file_is_found_at_once(make_set: MakeSet) -> None:
    data = make_set("x", 3)
    path = data.folder / "tokens.bin"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UsageError, match="its manifest promises"):
        TokenDataset(data.folder)


def test_a_folder_without_manifest_is_not_a_token_set(tmp_path: Path) -> None:
    np.zeros(4, np.uint16).tofile(tmp_path / "tokens.bin")
    with pytest.raises(UsageError, match="not a finished token set"):
        TokenDataset(tmp_path)


def test_truncation_and_padding_in_a_tokenizer_file_do_not_touch_documents(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    import tokenizers

    inner = tokenizers.Tokenizer.from_file(str(tokenizer.path))
    inner.enable_truncation(4)
    inner.enable_padding(length=4)
    inner.save(str(tmp_path / "cutting.json"))
    cutting = Tokenizer(tmp_path / "cutting.json")
    texts = ["the river of the stone market", "a"]
    for ours, theirs in zip(tokenizer.encode(texts), cutting.encode(texts), strict=True):
        assert ours.tolist() == theirs.tolist()


def test_a_failed_rewrite_leaves_the_old_set(tmp_path: Path, tokenizer: Tokenizer) -> None:
    write_dataset(tmp_path, ["the river"], tokenizer)

    def broken() -> Iterator[str]:
        yield "the stone"
        raise UsageError("bad line")

    with pytest.raises(UsageError, match="bad line"):
        write_dataset(tmp_path, broken(), tokenizer)
    data = TokenDataset(tmp_path)
    data.verify()
    assert tokenizer.decode(data.document(0)) == "the river"
