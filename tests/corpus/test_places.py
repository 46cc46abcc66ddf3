"""Input by name: object stores, data sets of the hub, RedPajama-v2 as published."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthlaw.common.errors import MissingExtraError, UsageError
from synthlaw.corpus.documents import Document
from synthlaw.corpus.readers.input_file import ReadReport
from synthlaw.corpus.readers.read import read_input
from synthlaw.corpus.readers.sources import find_input_files


def read(place: str, base: Path) -> list[Document]:
    return [document for piece in find_input_files(place, base) for document in read_input(piece)]


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture
def store() -> Any:
    """An object store in memory, through fsspec as any other."""
    system = fsspec.filesystem("memory")
    system.pipe("/bucket/a.jsonl.gz", gzip.compress(jsonl([{"id": "1", "text": "one"}])))
    system.pipe("/bucket/deep/b.jsonl", jsonl([{"id": "2", "text": "two"}]))
    system.pipe("/bucket/c.png", b"no")
    system.pipe("/bucket/d.txt", b"three")
    table = pa.table({"id": ["4"], "text": ["four"]})
    with system.open("/bucket/e.parquet", "wb") as stream:
        pq.write_table(table, stream)
    yield system
    system.rm("/bucket", recursive=True)


def test_an_object_store_is_read_like_a_folder(store: Any, tmp_path: Path) -> None:
    texts = {d.text for d in read("memory://bucket", tmp_path)}
    assert texts == {"one", "two", "three", "four"}
    assert [d.text for d in read("memory://bucket/*.jsonl.gz", tmp_path)] == ["one"]
    assert [d.text for d in read("memory://bucket/deep/b.jsonl", tmp_path)] == ["two"]


def test_changed_bytes_in_a_store_are_another_content(store: Any, tmp_path: Path) -> None:
    before = find_input_files("memory://bucket/d.txt", tmp_path)[0].content
    store.pipe("/bucket/d.txt", b"other text")
    assert find_input_files("memory://bucket/d.txt", tmp_path)[0].content != before


def test_a_store_without_its_package_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with pytest.raises(MissingExtraError, match=r"s3fs.*synthlaw\[s3\]"):
        find_input_files("s3://bucket/x.jsonl", tmp_path)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("memory://nowhere/at/all", "cannot be listed|nothing there"),
        ("nonsense://x/y.jsonl", "nonsense"),
        ("hub:missing?colour=red", "found option 'colour'; expected config, split"),
        ("embedded:nothing", "expected one of addresses"),
        ("redpajama:empty", "found 0 files like documents/SNAPSHOT"),
    ],
)
def test_places_that_lead_nowhere_say_what_would_be_right(
    tmp_path: Path, place: str, said: str
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=said):
        find_input_files(place, tmp_path)


def test_a_hub_data_set_is_streamed_file_by_file(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    for number in range(2):
        rows = [{"body": f"text {number}.{k}", "stars": k} for k in range(2)]
        (tmp_path / f"train-{number}.jsonl").write_bytes(jsonl(rows))
    pieces = find_input_files(f"hub:{tmp_path}?column=body", tmp_path)
    assert len(pieces) == 2
    documents = [document for piece in pieces for document in read_input(piece)]
    assert [d.text for d in documents] == ["text 0.0", "text 0.1", "text 1.0", "text 1.1"]
    assert documents[1].fields == {"stars": 1}
    assert len({d.id for d in documents}) == 4
    with pytest.raises(UsageError, match=r"found columns body, stars; expected 'text'.*\?column="):
        read(f"hub:{tmp_path}", tmp_path)


def test_a_broken_file_of_a_hub_data_set_costs_itself(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    far = pa.array([2**58], pa.timestamp("us"))
    for name in "abc":
        pq.write_table(pa.table({"text": [name], "when": far}), tmp_path / f"train-{name}.parquet")
    (tmp_path / "train-b.parquet").write_bytes(b"PAR1 cut")
    reports = []
    texts = []
    for piece in find_input_files(f"hub:{tmp_path}", tmp_path):
        reports.append(ReadReport())
        for document in read_input(piece, reports[-1]):
            texts.append(document.text)
            assert document.fields == {"when": "11103-08-29T17:22:31.711744"}
    assert texts == ["a", "c"]
    assert [report.broken is None for report in reports] == [True, False, True]


def redpajama(root: Path) -> None:
    """Two files of one snapshot: a head with signals and duplicates, a tail without."""
    for bucket in ("head", "tail"):
        rows = [
            {"url": f"http://e.org/{k}", "raw_content": f"{bucket} text {k}", "language": "en"}
            for k in range(3)
        ]
        path = root / "documents" / "2023-06" / "0000" / f"en_{bucket}.json.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(jsonl(rows)))
    base = "2023-06/0000/en_head"
    signals = [
        {
            "id": f"{base}.json.gz/{k}",
            "quality_signals": json.dumps(
                {
                    "rps_doc_word_count": [[0, 11, 3.0 + k]],
                    "rps_lines_num_words": [[0, 5, 1.0], [5, 11, 2.0]],
                    "rps_doc_ml_wikiref_score": [[0, 11, None]],
                }
            ),
        }
        for k in range(3)
    ]
    path = root / "quality_signals" / f"{base}.signals.json.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(jsonl(signals)))
    path = root / "duplicates" / f"{base}.duplicates.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"doc_id": [f"{base}.json.gz/1"], "digest": ["x"]}), path)


def test_redpajama_is_joined_with_its_signals_and_duplicates(tmp_path: Path) -> None:
    redpajama(tmp_path)
    documents = read("redpajama:.?bucket=head,middle&language=en", tmp_path)
    assert [d.text for d in documents] == [f"head text {k}" for k in range(3)]
    assert documents[2].id == "2023-06/0000/en_head.json.gz/2"
    assert documents[2].fields == {
        "url": "http://e.org/2",
        "language": "en",
        "rps_doc_word_count": 5.0,
        "rps_lines_num_words": [1.0, 2.0],
        "rps_doc_ml_wikiref_score": None,
        "is_duplicate": False,
    }
    assert [d.fields["is_duplicate"] for d in documents] == [False, True, False]
    (tail,) = find_input_files("redpajama:.?bucket=tail", tmp_path)
    assert "is_duplicate" not in next(read_input(tail)).fields


def test_signals_of_other_documents_are_refused(tmp_path: Path) -> None:
    redpajama(tmp_path)
    path = tmp_path / "quality_signals/2023-06/0000/en_head.signals.json.gz"
    rows = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join([rows[1], *rows[1:]])))
    (piece,) = find_input_files("redpajama:.?bucket=head", tmp_path)
    report = ReadReport()
    assert [d.id[-1] for d in read_input(piece, report)] == ["1", "2"]
    assert report.bad == [("line", 1, "its signals file has no row for it")]
    path.write_bytes(gzip.compress(rows[0]))
    assert [d.id[-1] for d in read_input(piece, ReadReport())] == ["0"]
    path.write_bytes(gzip.compress(rows[0].replace(b"en_head", b"de_head")))
    report = ReadReport()
    assert list(read_input(piece, report)) == []
    assert "signals.json.gz:1: found the signals of" in str(report.broken)
    with pytest.raises(UsageError, match=r"signals\.json\.gz:1: found the signals of .*de_head"):
        read("redpajama:.?bucket=head", tmp_path)


def test_a_bucket_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    redpajama(tmp_path)
    with pytest.raises(UsageError, match=r"found 2 files like .*, none with bucket=middle"):
        find_input_files("redpajama:.?bucket=middle", tmp_path)
