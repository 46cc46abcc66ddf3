"""Large files in pieces: together they give what the whole file gives."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.corpus.readers import ranges
from synthlaw.corpus.readers.input_file import InputFile, ReadReport
from synthlaw.corpus.readers.ranges import cut
from synthlaw.corpus.readers.read import read_input
from synthlaw.corpus.readers.sources import find_input_files

GOOD = st.builds(lambda text: json.dumps({"text": text}).encode(), st.text(max_size=30))
NAMED = st.builds(
    lambda name: json.dumps({"id": name, "text": "x"}, ensure_ascii=False).encode(),
    st.text("aä€😀", min_size=1, max_size=4),
)
ODD = st.sampled_from(
    [b"", b"  ", b"no JSON", b"[1]", b"\xef\xbb\xbf{}", b"\xff\xfe{}", b'{"text": "a"}\r', b"\xff"]
)
LINES = st.lists(st.one_of(GOOD, NAMED, ODD), min_size=1, max_size=30)


def whole(path: Path) -> InputFile:
    (file,) = find_input_files(path.name, path.parent)
    return file


def read(files: list[InputFile]) -> tuple[list[Any], list[Any]]:
    """Documents and bad records of all files."""
    documents: list[Any] = []
    bad: list[Any] = []
    for file in files:
        report = ReadReport()
        documents += [(d.id, d.text, d.fields) for d in read_input(file, report)]
        bad += report.bad
    return documents, bad


@given(LINES, st.integers(1, 200), st.booleans(), st.integers(1, 64))
@settings(max_examples=150, deadline=None)
def test_lines_in_pieces_are_the_whole_file(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    most: int,
    ended: bool,
    at_once: int,
) -> None:
    path = tmp_path_factory.mktemp("lines") / "x.jsonl"
    path.write_bytes(b"\n".join(lines) + (b"\n" if ended else b""))
    if not path.stat().st_size:
        return
    file = whole(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranges, "_AT_ONCE", at_once)
        pieces = cut([file], most)
    assert read(pieces) == read([file])
    assert sum(piece.size for piece in pieces) == file.size
    if len(pieces) > 1:
        starts = [int(piece.options["first"]) for piece in pieces]
        ends = [int(piece.options["end"]) for piece in pieces]
        assert starts == [0, *ends[:-1]] and ends[-1] == file.size
        content = path.read_bytes()
        piece = -(-file.size // round(file.size / most))
        assert 2 * most <= 3 * piece and 2 * piece <= 3 * most + 2
        for start, end in zip(starts, ends, strict=True):
            # No shorter than asked for but the last, and no longer than one line more.
            assert end == file.size or end - start >= piece
            assert b"\n" not in content[start + piece - 1 : end - 1]


@given(st.lists(st.integers(0, 7), min_size=1, max_size=8), st.integers(1, 4000))
@settings(max_examples=40, deadline=None)
def test_row_groups_in_pieces_are_the_whole_file(
    tmp_path_factory: pytest.TempPathFactory, groups: list[int], most: int
) -> None:
    path = tmp_path_factory.mktemp("rows") / "x.parquet"
    schema = pa.schema([("text", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        for number, size in enumerate(groups):
            rows = [{"text": f"{number} {row} " * 20} for row in range(size)]
            writer.write_table(pa.Table.from_pylist(rows, schema))
    file = whole(path)
    assert read(cut([file], most)) == read([file])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.jsonl.gz", gzip.compress(b'{"text": "a"}\n' * 50)),
        ("x.json", json.dumps([{"text": "a"}] * 50, indent=1).encode()),
        ("x.jsonl", ("\n".join(['{"text": "a"}'] * 50)).encode("utf-16")),
        ("x.parquet", b"PAR1" + b"\n" * 500),
        ("x.txt", b"one document\n" * 50),
    ],
    ids=["packed", "list", "utf-16", "broken parquet", "text"],
)
def test_what_cannot_be_cut_stays_whole(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    file = whole(tmp_path / name)
    assert cut([file], 10) == [file]


def test_small_files_stay_whole_and_keep_their_places(tmp_path: Path) -> None:
    for name, count in (("a", 1), ("b", 40), ("c", 2)):
        (tmp_path / f"{name}.jsonl").write_text('{"text": "some text"}\n' * count)
    files = find_input_files("*.jsonl", tmp_path)
    pieces = cut(files, 100)
    assert pieces[0] == files[0] and pieces[-1] == files[2]
    assert len(pieces) > 4
    assert read(pieces) == read(files)
