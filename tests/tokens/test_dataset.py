"""Token sets: what is written is what is read; damage is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.common.files import write_json
from synthlaw.tokens import dataset
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.tokenizer import BOS, EOS, Tokenizer, train_bpe
from synthlaw.tokens.writing import write_texts

MakeSet = Callable[[str, int], TokenDataset]


def test_documents_come_back_between_bos_and_eos(tmp_path: Path, tokenizer: Tokenizer) -> None:
    texts = ["The river of the stone.", "", "Übergröße 漢字 \n\n tab\t"]
    manifest = write_texts(tmp_path, texts, tokenizer)
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


def everything(data: TokenDataset) -> np.ndarray:
    return data.read(0, data.manifest.tokens)


def test_any_stretch_reads_the_same_across_shards(make_set: MakeSet) -> None:
    data = make_set("x", 40)
    assert len(data.manifest.shards) > 3
    shards = [np.asarray(ids) for ids, _ in data.each_shard()]
    whole = np.concatenate(shards)
    assert np.array_equal(everything(data), whole)
    documents = [data.document(i) for i in range(data.manifest.documents)]
    assert np.array_equal(np.concatenate(documents), whole)
    assert data.lengths().tolist() == [len(document) for document in documents]
    starts = np.array([0, len(shards[0]) - 5, len(shards[0]), len(whole) - 3000, 17])
    found = data.windows(starts, 3000)  # longer than a shard
    for row, start in zip(found, starts.tolist(), strict=True):
        assert np.array_equal(row, whole[start : start + 3000])
    assert found.dtype == np.int64


def test_a_stretch_beyond_the_end_is_refused(make_set: MakeSet) -> None:
    data = make_set("x", 3)
    with pytest.raises(IndexError):
        data.read(0, data.manifest.tokens + 1)
    with pytest.raises(IndexError):
        data.document(data.manifest.documents)


def test_more_shards_than_maps_read_the_same(
    make_set: MakeSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_set("x", 40)
    whole = everything(data)
    monkeypatch.setattr(dataset, "MAPS", 2)
    again = TokenDataset(data.folder)
    starts = np.random.default_rng(0).integers(0, len(whole) - 50, 100)
    assert np.array_equal(again.windows(starts, 50), data.windows(starts, 50))


@pytest.mark.parametrize("file", ["00000-001.bin", "00000-002.idx"])
def test_a_flipped_byte_is_found_and_named(make_set: MakeSet, file: str) -> None:
    data = make_set("x", 40)
    path = data.folder / file
    raw = bytearray(path.read_bytes())
    raw[10] ^= 1
    path.write_bytes(raw)
    opened = TokenDataset(data.folder)  # sizes are right
    with pytest.raises(UsageError) as caught:
        opened.verify()
    assert f"{path}: SHA-256 is" in str(caught.value)
    assert str(caught.value).count("SHA-256") == 1


def test_missing_and_torn_shards_are_found_at_once(make_set: MakeSet) -> None:
    data = make_set("x", 40)
    (data.folder / "00000-000.bin").unlink()
    torn = data.folder / "00000-002.idx"
    torn.write_bytes(torn.read_bytes()[:-4])
    with pytest.raises(UsageError) as caught:
        TokenDataset(data.folder)
    assert "00000-000.bin: the shard's file is missing" in str(caught.value)
    assert "00000-002.idx: found" in str(caught.value)
    assert "delete the files named" in str(caught.value)


def test_a_folder_without_manifest_is_not_a_token_set(tmp_path: Path) -> None:
    np.zeros(4, np.uint16).tofile(tmp_path / "00000-000.bin")
    with pytest.raises(UsageError, match="not a finished token set"):
        TokenDataset(tmp_path)


def test_a_set_of_an_earlier_format_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "dataset.json", {"tokens": 4, "documents": 1})
    with pytest.raises(UsageError, match="found format 1; expected 2"):
        TokenDataset(tmp_path)


def test_another_tokenizer_is_refused(
    make_set: MakeSet, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    data = make_set("x", 3)
    data.require_tokenizer(tokenizer)
    train_bpe(["other words altogether"] * 9, 300, tmp_path / "other.json")
    with pytest.raises(UsageError, match=r"made with the tokenizer tokenizer\.json .*other\.json"):
        data.require_tokenizer(Tokenizer(tmp_path / "other.json"))


def test_a_tokenizer_swapped_in_the_set_is_found(make_set: MakeSet, tokenizer: Tokenizer) -> None:
    data = make_set("x", 3)
    own = data.folder / "tokenizer.json"
    own.write_bytes(tokenizer.path.read_bytes())
    data.verify()
    own.write_bytes(tokenizer.path.read_bytes().replace(b"river", b"rivet"))
    with pytest.raises(UsageError, match="the tokenizer was changed after"):
        data.verify()


def test_identity_is_of_tokens_and_borders(tmp_path: Path, tokenizer: Tokenizer) -> None:
    def identity(name: str, texts: list[str]) -> str:
        write_texts(tmp_path / name, texts, tokenizer)
        return TokenDataset(tmp_path / name).identity

    assert identity("a", ["one", "two"]) == identity("b", ["one", "two"])
    assert identity("c", ["one", "twp"]) != identity("a2", ["one", "two"])


def test_a_set_without_documents_opens(tmp_path: Path, tokenizer: Tokenizer) -> None:
    assert write_texts(tmp_path, [], tokenizer).tokens == 0
    data = TokenDataset(tmp_path)
    data.verify()
    assert (len(everything(data)), len(data.lengths())) == (0, 0)


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
