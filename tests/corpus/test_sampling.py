"""Some documents of many: chosen by seed and identity, or up to so much text."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from synthlaw.common.parts import Dataset, describe, finish
from synthlaw.common.seeds import derive_seed
from synthlaw.corpus.documents import Document, read_dataset, write_documents
from synthlaw.corpus.readers.sources import find_input_files
from synthlaw.corpus.sampling import choose, first_texts, lowest, sampled_texts

DOCUMENTS = [Document(f"d{n}", f"text {n} " * 10, {"n": n}) for n in range(90)]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """The documents in three parts."""
    made = []
    for part in range(3):
        path = tmp_path / "set" / f"part-{part}.parquet"
        documents = DOCUMENTS[30 * part : 30 * part + 30]
        write_documents(path, documents)
        made.append(describe(path, 30, sum(len(d.text) for d in documents)))
    return finish(tmp_path / "set", made)


@pytest.mark.parametrize("count", [1, 13, 90, 1000])
def test_the_chosen_are_those_of_the_lowest_draws_in_their_own_order(
    tmp_path: Path, dataset: Dataset, count: int
) -> None:
    ranked = sorted(DOCUMENTS, key=lambda document: derive_seed(4, document.id))
    made = choose(dataset, count, 4, tmp_path / "out")
    assert list(read_dataset(made)) == [d for d in DOCUMENTS if d in ranked[:count]]
    assert made.identity == Dataset(tmp_path / "out").identity


def test_of_no_document_none_is_chosen(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert choose(finish(tmp_path / "empty", []), 5, 1, tmp_path / "out").documents == 0
    assert lowest(iter([]), 5, 1) == set()


def test_a_sample_is_as_large_as_asked_and_drawn_from_everywhere(dataset: Dataset) -> None:
    found = list(sampled_texts(dataset, 3000, 1))
    assert sum(map(len, found)) == pytest.approx(3000, rel=0.15)
    numbers = [int(text.split()[1]) for text in found]
    assert numbers == sorted(set(numbers))
    assert {number // 30 for number in numbers} == {0, 1, 2}
    assert found == list(sampled_texts(dataset, 3000, 1))
    assert found != list(sampled_texts(dataset, 3000, 2))
    assert list(sampled_texts(dataset, 10**6, 1)) == [d.text for d in DOCUMENTS]


def test_every_file_gives_its_first_texts_by_its_size(tmp_path: Path) -> None:
    for name, count in (("a", 10), ("b", 90)):
        lines = "".join(
            json.dumps({"text": f"{name}{n:02d} " + "x" * 91}) + "\n" for n in range(count)
        )
        (tmp_path / f"{name}.jsonl").write_text(lines)
    files = find_input_files("*.jsonl", tmp_path)
    found = [text.split()[0] for text in first_texts(files, 1900)]
    assert found == ["a00", "a01", *(f"b{n:02d}" for n in range(18))]
    assert len(list(first_texts(files, 10**6))) == 100
    packed = tmp_path / "c.jsonl.gz"
    packed.write_bytes(gzip.compress((tmp_path / "b.jsonl").read_bytes()))
    assert len(list(first_texts(find_input_files("c.jsonl.gz", tmp_path), 450))) == 5
