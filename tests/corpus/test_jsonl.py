"""JSON lines as people have them: what can be read is read, what cannot costs its line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.corpus.documents import Document
from synthlaw.corpus.readers import jsonl
from synthlaw.corpus.readers.input_file import InputFile, ReadReport
from synthlaw.corpus.readers.read import read_input

GOOD = b'{"id": "a", "text": "one"}\n{"id": "b", "text": "two"}\n'
ZSTD = zstandard.ZstdCompressor().compress


def read(path: Path, data: bytes, strict: bool = False) -> tuple[list[Document], ReadReport]:
    path.write_bytes(data)
    report = ReadReport(strict=strict)
    return list(read_input(InputFile("documents", str(path), ""), report)), report


WAYS = {
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "UTF-16, big end": b"\xfe\xff" + GOOD.decode().encode("utf-16-be"),
    "UTF-32": GOOD.decode().encode("utf-32"),
    "CR LF": GOOD.replace(b"\n", b"\r\n"),
    "blank lines": b"\n \n" + GOOD.replace(b"\n", b"\n\n\t\n"),
    "no end of line": GOOD.rstrip(),
    "one list": b"[" + GOOD.strip().replace(b"\n", b",\n") + b"]",
    "gzip": gzip.compress(GOOD),
    "members": gzip.compress(GOOD[:20]) + gzip.compress(GOOD[20:]),
    "padded": gzip.compress(GOOD) + bytes(512),
    "zstd": ZSTD(GOOD),
    "frames": ZSTD(GOOD[:20]) + b"\x5a\x2a\x4d\x18\x02\0\0\0xx" + ZSTD(GOOD[20:]),
    "skippable first": b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + ZSTD(GOOD),
}


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".json.zst"])
@pytest.mark.parametrize("way", WAYS)
def test_what_can_be_read_is_read_whatever_the_ending_says(
    tmp_path: Path, way: str, ending: str
) -> None:
    documents, report = read(tmp_path / f"x{ending}", WAYS[way], strict=True)
    assert [(d.id, d.text) for d in documents] == [("a", "one"), ("b", "two")]
    assert report.bad_count == 0


BAD = {
    b"{not json": "not JSON",
    b'{"text": "x"} rest': "not JSON (Extra data)",
    b"[1, 2]": "found a JSON list",
    b'"text"': "found a JSON str",
    b"null": "found a JSON NoneType",
    b"{}": "found no 'text' but nothing",
    b'{"body": "x", "n": 1}': "found no 'text' but 'body', 'n'",
    b'{"text": null}': "found 'text' null",
    b'{"text": 5}': "found 'text' of type int",
    b'{"text": ["a"]}': "found 'text' of type list",
    b'{"text": "a", "text": "b"}': "the key 'text' stands twice",
    b'{"text": "\xff"}': "not UTF-8",
    b'{"text": "a", "n": ' + b"9" * 5000 + b"}": "a number of too many digits",
    b'{"text": "a", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}": "nested too deeply",
    b"\0\0\0\0": "not JSON",
}


@pytest.mark.parametrize("line", BAD, ids=[reason[:30] for reason in BAD.values()])
def test_a_bad_line_costs_itself_and_is_named(tmp_path: Path, line: bytes) -> None:
    data = b'{"text": "first"}\n' + line + b'\n{"text": "last"}\n'
    documents, report = read(tmp_path / "x.jsonl", data)
    assert [(d.id, d.text) for d in documents] == [("x.jsonl:1", "first"), ("x.jsonl:3", "last")]
    ((unit, number, reason),) = report.bad
    assert (unit, number) == ("line", 2)
    assert BAD[line] in reason
    with pytest.raises(UsageError, match=r"x\.jsonl:2: "):
        read(tmp_path / "x.jsonl", data, strict=True)


@pytest.mark.parametrize("pack", [gzip.compress, ZSTD])
@pytest.mark.parametrize(
    "spoil", [lambda d: d[:-9], lambda d: d + b"rest", lambda d: d[:40] + b"\xff" * 9]
)
def test_a_torn_file_gives_what_it_holds_and_is_named(tmp_path: Path, pack, spoil) -> None:  # type: ignore[no-untyped-def]
    lines = b"".join(b'{"text": "%d"}\n' % n for n in range(3000))
    documents, report = read(tmp_path / "x.jsonl.gz", spoil(pack(lines)))
    assert [d.text for d in documents] == [str(n) for n in range(len(documents))]
    assert "cannot be read to its end" in str(report.broken)
    with pytest.raises(UsageError, match="cannot be read to its end"):
        read(tmp_path / "x.jsonl.gz", spoil(pack(lines)), strict=True)


@pytest.mark.parametrize("data", [b"", b"\n\n", gzip.compress(b"", mtime=0), b"[]"])
def test_a_file_of_nothing_is_named(tmp_path: Path, data: bytes) -> None:
    documents, report = read(tmp_path / "x.jsonl", data)
    assert not documents
    assert report.broken or report.bad_count


def test_metadata_that_no_file_can_hold_costs_no_document(tmp_path: Path) -> None:
    deep: object = "x"
    for _ in range(300):
        deep = [deep]
    row = {"text": "t", "s\ud83d": "v\udc00", "n": float("nan"), "big": 2**80, "deep": deep}
    (document,), report = read(tmp_path / "x.jsonl", json.dumps(row).encode())
    assert report.bad_count == 0
    assert list(document.fields) == ["s?", "n", "big", "deep"]
    assert (document.fields["s?"], document.fields["big"], document.fields["deep"]) == (
        "v?",
        2**80,
        None,
    )


def test_a_line_too_long_costs_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "LONGEST_LINE", 1000)
    long = b'{"text": "' + b"x" * 400_000 + b'"}'
    documents, report = read(tmp_path / "x.jsonl", long + b"\n" + GOOD + long)
    assert [d.id for d in documents] == ["a", "b"]
    assert [number for _, number, _ in report.bad] == [1, 4]


@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line)), st.data())
@settings(max_examples=60, deadline=None)
def test_lines_do_not_depend_on_the_parts_they_come_in(
    lines: list[bytes], data: st.DataObject
) -> None:
    whole = b"\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    found = dict(jsonl._lines(iter(parts)))
    assert found == {n: line for n, line in enumerate(lines, start=1) if line or n < len(lines)}


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_mutated_lines_never_end_the_reading(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    spoilt = bytearray(GOOD * 3)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(spoilt) - 1))
        spoilt[place : place + data.draw(st.integers(0, 5))] = (
            data.draw(st.binary(max_size=6)) or b"{"
        )
    documents, _ = read(tmp_path_factory.mktemp("m") / "x.jsonl", bytes(spoilt))
    assert all(document.text.encode() is not None for document in documents)
