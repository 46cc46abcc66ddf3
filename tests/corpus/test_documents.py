"""Documents: what goes in comes out; what is no document is named by file and line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.common.parts import Dataset, describe, finish
from synthlaw.corpus import documents as documents_module
from synthlaw.corpus.documents import (
    Document,
    documents_at,
    permuted_documents,
    read_dataset,
    read_documents,
    write_documents,
)
from synthlaw.corpus.readers.read import read_input
from synthlaw.corpus.readers.sources import find_files, find_input_files

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst"])
@given(texts=st.lists(TEXT, max_size=5))
@settings(max_examples=20)
def test_every_format_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, ending: str, texts: list[str]
) -> None:
    path = tmp_path_factory.mktemp("documents") / f"x{ending}"
    documents = [Document(f"d{i}", text, {"url": f"u{i}"}) for i, text in enumerate(texts)]
    assert write_documents(path, documents) == len(texts)
    assert list(read_documents(path)) == documents


def test_the_same_documents_give_the_same_bytes(tmp_path: Path) -> None:
    documents = [Document("a", "text one", {"n": 1}), Document("b", "text two", {"n": 2})]
    for name in ("one.parquet", "two.parquet"):
        write_documents(tmp_path / name, documents)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_a_datatrove_document_passes_without_loss(tmp_path: Path) -> None:
    row = {"text": "t", "id": "x/0", "media": [], "metadata": {"url": "u", "date": "2026"}}
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps(row) + "\n")
    write_documents(target, read_documents(source))
    assert json.loads(target.read_text()) == row


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": 1}', "no 'text'"),
        ('{"id": 1, "text": 5}', "'text' of type int"),
        ("[1, 2]", "found a JSON list"),
        ('{"text": "x"', "not JSON"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"text": "good"}\n' + line + "\n")
    with pytest.raises(UsageError, match=said) as caught:
        list(read_documents(path))
    assert "bad.jsonl:2" in str(caught.value)


def test_a_torn_gzip_file_is_an_error_not_a_short_corpus(tmp_path: Path) -> None:
    path = tmp_path / "torn.jsonl.gz"
    lines = "".join(json.dumps({"text": f"document {i} " * 50}) + "\n" for i in range(2000))
    path.write_bytes(gzip.compress(lines.encode())[:-40])
    with pytest.raises(UsageError, match="cannot be read to its end"):
        list(read_documents(path))


def test_lone_surrogates_become_replacement_marks(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text('{"text": "a\\ud800b"}\n')
    (document,) = read_documents(path)
    assert document.text.encode("utf-8") == b"a?b"


def test_folders_patterns_and_plain_text_are_read_in_a_fixed_order(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("second file")
    (tmp_path / "a.jsonl").write_text('{"id": "1", "text": "first"}\n')
    (tmp_path / ".hidden.txt").write_text("no")
    (tmp_path / "image.png").write_bytes(b"no")
    texts = [d.text for piece in find_input_files(".", tmp_path) for d in read_input(piece)]
    assert texts == ["first", "second file"]
    assert [p.name for p in find_files("*.txt", tmp_path)] == ["b.txt"]


@pytest.mark.parametrize("place", ["missing.jsonl", "*.nothing", "image.png", "empty"])
def test_places_that_lead_nowhere_are_errors(tmp_path: Path, place: str) -> None:
    (tmp_path / "image.png").write_bytes(b"no")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=str(tmp_path)):
        find_files(place, tmp_path)


def test_fields_of_mixed_types_and_empty_mappings_are_kept_as_json(tmp_path: Path) -> None:
    rows = [Document("a", "t", {"meta": 1, "media": {}}), Document("b", "u", {"meta": "x"})]
    write_documents(tmp_path / "x.parquet", rows)
    found = [document.fields for document in read_documents(tmp_path / "x.parquet")]
    assert [json.loads(f["meta"]) for f in found] == [1, "x"]
    assert json.loads(found[0]["media"]) == {}


def test_identities_do_not_depend_on_the_folder(tmp_path: Path) -> None:
    names = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "x.jsonl"
        path.write_text('{"text": "no id"}\n')
        names += [document.id for document in read_documents(path)]
    assert names[0] == names[1]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """700 documents in three parts, of both formats."""
    folder = tmp_path_factory.mktemp("dataset")
    made = []
    for name, first, last in (
        ("a.parquet", 0, 600),
        ("b.jsonl", 600, 650),
        ("c.parquet", 650, 700),
    ):
        documents = [Document(f"d{n}", f"text {n} " * 9, {"n": n}) for n in range(first, last)]
        write_documents(folder / name, documents)
        text = sum(len(document.text) for document in documents)
        made.append(describe(folder / name, len(documents), text))
    return finish(folder, made)


def test_a_dataset_is_read_in_order(dataset: Dataset) -> None:
    assert [document.fields["n"] for document in read_dataset(dataset)] == list(range(700))


@given(st.lists(st.integers(0, 699), max_size=30))
def test_documents_are_found_by_number(dataset: Dataset, numbers: list[int]) -> None:
    found = documents_at(dataset, np.array(numbers, np.int64))
    assert [document.id for document in found] == [f"d{n}" for n in numbers]


@pytest.mark.parametrize("at_once", [1, 1000, 1 << 25])
def test_a_seeded_order_does_not_depend_on_how_much_is_fetched_at_once(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(documents_module, "PERMUTED_BYTES", at_once)
    found = [document.fields["n"] for document in permuted_documents(dataset, 5, 100, 180)]
    assert found == dataset.order(5)(np.arange(100, 180)).tolist()
    assert len(set(found)) == 80
