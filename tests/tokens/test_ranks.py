"""Files of ranks against tiktoken itself; Llama 3's cuts against the rule of its reference."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as HuggingFace

from synthlaw.common.errors import MissingExtraError, UsageError
from synthlaw.tokens import ranks
from synthlaw.tokens.huggingface import ranks_as_json
from synthlaw.tokens.tokenizer import Tokenizer

tiktoken = pytest.importorskip("tiktoken")

MERGES = ["th", "the", "er", "ri", "in", " the", " r", "iv", "river", "\n\n", "12", "é"]
ENTRIES = [bytes([i]) for i in range(256)] + [merge.encode() for merge in MERGES]


def write_ranks(path: Path) -> Path:
    lines = [f"{b64encode(entry).decode()} {rank}\n" for rank, entry in enumerate(ENTRIES)]
    path.write_text("".join(lines))
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ranks")


@pytest.mark.parametrize("name", list(ranks.PUBLISHED))
def test_patterns_and_special_tokens_are_tiktokens_own(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tiktoken_ext import openai_public

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda *_, **__: {})
    wanted = openai_public.ENCODING_CONSTRUCTORS[name]()
    assert ranks.PUBLISHED[name].pattern == wanted["pat_str"]
    assert dict(ranks.PUBLISHED[name].special) == wanted["special_tokens"]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@settings(max_examples=100)
def test_the_tokenizer_json_gives_the_ids_of_the_ranks(folder: Path, text: str) -> None:
    text = f"the river {text}12 12345 rivers\n\n <|endoftext|>"
    for name in ("r50k_base.tiktoken", "o200k_base.tiktoken", "tiny.model"):
        ours = ranks.by_file(write_ranks(folder / name))
        special = {"<|a|>": len(ENTRIES), "<|b|>": len(ENTRIES) + 1}
        pattern = ours._encoding._pat_str
        table = {entry: rank for rank, entry in enumerate(ENTRIES)}
        made = HuggingFace.from_str(ranks_as_json(table, pattern, special))
        made.encode_special_tokens = True
        (wanted,) = ours.encode([text], "int64")
        assert made.encode(text, add_special_tokens=False).ids == wanted.tolist()
        assert [made.token_to_id(token) for token in special] == list(special.values())
        assert made.decode(wanted.tolist()) == text


def test_special_tokens_with_a_gap_cannot_be_written(folder: Path) -> None:
    with pytest.raises(UsageError, match="do not follow its entries"):
        ranks.by_file(write_ranks(folder / "cl100k_base.tiktoken")).as_json()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@settings(max_examples=40)
def test_ids_of_a_file_are_tiktokens(folder: Path, text: str) -> None:
    text = f"the river {text}12 12<|endoftext|>"
    ours = Tokenizer(write_ranks(folder / "cl100k_base.tiktoken"))
    known = ranks.PUBLISHED["cl100k_base"]
    encoding = tiktoken.Encoding(
        "x",
        pat_str=known.pattern,
        mergeable_ranks={entry: rank for rank, entry in enumerate(ENTRIES)},
        special_tokens=dict(known.special),
    )
    (ids,) = ours.encode([text])
    assert ids.tolist() == encoding.encode_ordinary(text)
    assert ours.decode([ours.bos, *ids, ours.eos]) == text
    assert (ours.vocab, ours.bos, ours.eos, ours.dtype) == (100277, 100257, 100257, "uint32")


def test_metas_file_has_llama_3s_special_tokens(folder: Path) -> None:
    tokenizer = Tokenizer(write_ranks(folder / "tokenizer.model"))
    assert tokenizer.vocab == len(ENTRIES) + 256
    assert (tokenizer.bos, tokenizer.eos) == (len(ENTRIES), len(ENTRIES) + 1)
    (ids,) = tokenizer.encode(["<|begin_of_text|> the river<|eot_id|>"])
    assert ids.max() < len(ENTRIES)


def reference_pieces(text: str) -> Iterator[str]:
    """The rule of the reference, character by character."""
    for start in range(0, len(text), ranks.LLAMA3_CHUNK):
        chunk = text[start : start + ranks.LLAMA3_CHUNK]
        run, begin = 0, 0
        kind = chunk[0].isspace()
        for place, character in enumerate(chunk):
            if character.isspace() != kind:
                run, kind = 1, character.isspace()
            else:
                run += 1
                if run > ranks.LLAMA3_RUN:
                    yield chunk[begin:place]
                    begin, run = place, 1
        yield chunk[begin:]


@given(
    st.lists(
        st.tuples(st.sampled_from("ab \n\u2003é"), st.integers(1, 35)), min_size=1, max_size=12
    )
)
@settings(max_examples=150)
def test_long_texts_are_cut_where_the_reference_cuts_them(runs: list[tuple[str, int]]) -> None:
    text = "".join(character * count for character, count in runs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranks, "LLAMA3_CHUNK", 40)
        patch.setattr(ranks, "LLAMA3_RUN", 6)
        assert list(ranks.llama3_pieces(text)) == list(reference_pieces(text))


def test_the_same_ranks_by_another_name_are_another_tokenizer(folder: Path) -> None:
    one = Tokenizer(write_ranks(folder / "r50k_base.tiktoken"))
    again = Tokenizer(write_ranks(folder / "r50k_base.tiktoken"))
    other = Tokenizer(write_ranks(folder / "o200k_base.tiktoken"))
    assert one.digest == again.digest != other.digest


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("mine.tiktoken", b"", "no encoding 'mine' is known"),
        ("r50k_base.tiktoken", b"YQ== 0\n\x08\x01 broken\n", r"tiktoken:2: not a line of ranks"),
        ("tokenizer.model", b"YQ== 0\n", "expected all 256 single bytes"),
        ("absent.json", b"{}", r"absent\.json: not a tokenizer\.json"),
    ],
)
def test_a_file_that_is_no_tokenizer_is_named(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=said):
        Tokenizer(tmp_path / name)


def test_a_name_that_cannot_be_fetched_says_how_else() -> None:
    with pytest.raises(UsageError, match=r"Without one, give its file: nothing\.tiktoken"):
        Tokenizer("tiktoken:nothing")


def test_without_tiktoken_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tiktoken", None)
    with pytest.raises(MissingExtraError, match=r"synthlaw\[tiktoken\]"):
        Tokenizer("llama3")


@pytest.mark.network
def test_llama_3_from_its_wheel() -> None:
    tokenizer = Tokenizer("llama3")
    assert (tokenizer.vocab, tokenizer.bos, tokenizer.eos) == (128256, 128000, 128001)
    (ids,) = tokenizer.encode(["Hello world<|eot_id|>"])
    assert ids[:2].tolist() == [9906, 1917] and ids.max() < 128000
