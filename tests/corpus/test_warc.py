"""Every good record of a damaged archive is read; every bad one is counted with its offset."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from webarchive import HTML, Archive, page, with_length

from synthlaw.common.errors import MissingExtraError, UsageError
from synthlaw.corpus.readers.input_file import ReadReport
from synthlaw.corpus.readers.read import read_input
from synthlaw.corpus.readers.sources import find_input_files
from synthlaw.corpus.readers.warc import read_pages
from synthlaw.corpus.readers.warc_records import LONGEST_RECORD, BadRecord, Found, read_records

PROSE = [f"Paragraph {n} of an article that people wrote about rivers and bridges." for n in (1, 2)]


def archive(count: int = 6) -> Archive:
    made = Archive()
    for number in range(count):
        made.response(f"http://example.org/{number}", page(f"Page {number}", PROSE))
    return made


def read(data: bytes) -> tuple[list[str], list[int]]:
    """Addresses of the good records and offsets of the bad ones."""
    found: list[Found] = list(read_records(io.BytesIO(data), frozenset({"response"})))
    good = [
        str(r.headers.get("warc-target-uri"))[-1] for r in found if not isinstance(r, BadRecord)
    ]
    return good, [r.offset for r in found if isinstance(r, BadRecord)]


def torn(member: bytes) -> bytes:
    return member[:-20]


def flipped(member: bytes) -> bytes:
    middle = len(member) // 2
    return member[:middle] + bytes([member[middle] ^ 0xFF]) + member[middle + 1 :]


def repacked(change: int):  # type: ignore[no-untyped-def]
    return lambda member: gzip.compress(with_length(gzip.decompress(member), change), mtime=0)


def no_warc(member: bytes) -> bytes:
    return gzip.compress(b"something else entirely", mtime=0)


DAMAGE = {
    "torn": torn,
    "flipped": flipped,
    "length too long": repacked(100),
    "length far too long": repacked(5000),
    "length too short": repacked(-100),
    "no WARC record": no_warc,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("number", [0, 3, 5], ids=["first", "middle", "last"])
def test_one_broken_member_costs_one_record(damage, number: int) -> None:  # type: ignore[no-untyped-def]
    members, offsets = archive().packed()
    members[number] = damage(members[number])
    good, bad = read(b"".join(members))
    assert good == [str(n) for n in range(6) if n != number]
    assert bad == [offsets[number]]


@pytest.mark.parametrize("change", [100, -100, 5000, 10**9])
@pytest.mark.parametrize("number", [0, 3, 5])
def test_a_wrong_length_in_a_plain_file_costs_one_record(change: int, number: int) -> None:
    records = archive().records
    offset = sum(map(len, records[:number]))
    records[number] = with_length(records[number], change)
    good, bad = read(b"".join(records))
    assert good == [str(n) for n in range(6) if n != number]
    assert bad == [offset]


@pytest.mark.parametrize("packed", [True, False])
def test_a_length_that_takes_in_the_next_record_whole_is_found(packed: bool) -> None:
    made = archive()
    made.records[2] = with_length(made.records[2], len(made.records[3]))
    members, offsets = made.packed()
    if not packed:
        offsets = [sum(map(len, made.records[:n])) for n in range(6)]
    good, bad = read(b"".join(members if packed else made.records))
    assert good == ["0", "1", "3", "4", "5"]
    assert bad == [offsets[2]]


def test_a_page_that_quotes_a_record_is_a_good_page() -> None:
    made = archive(2)
    quoted = b"<p>The format:</p>\r\n\r\nWARC/1.0\r\nWARC-Type: response\r\n\r\n"
    made.response("http://example.org/q", quoted)
    made.records.append(made.records.pop(0))
    assert read(b"".join(made.packed()[0])) == (["1", "q", "0"], [])
    assert read(b"".join(made.records)) == (["1", "q", "0"], [])


MEMBERS = archive().packed()[0]


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_whatever_is_broken_the_rest_is_read(data: st.DataObject) -> None:
    members = list(MEMBERS)
    number = data.draw(st.integers(0, 5))
    member = bytearray(members[number])
    # What a file is, its first bytes say; without them it is refused, not read in part.
    place = data.draw(st.integers(5 if number == 0 else 0, len(member) - 1))
    if data.draw(st.booleans()):
        member[place] ^= data.draw(st.sampled_from([1, 4, 0x20, 0x80, 0xFF]))
    else:
        del member[place:]
    members[number] = bytes(member)
    good, _ = read(b"".join(members))
    kept = [str(n) for n in range(6) if n != number]
    # A flipped bit may fall where nothing depends on it (a time stamp); then nothing is lost.
    assert good in (kept, [str(n) for n in range(6)])


def pages_of(made: Archive) -> tuple[dict[str, str], ReadReport]:
    report = ReadReport()
    stream = io.BytesIO(b"".join(made.packed()[0]))
    documents = list(read_pages(stream, "x.warc.gz", report))
    return {str(d.fields["url"]).rpartition("/")[2]: d.text for d in documents}, report


def test_pages_are_extracted_and_say_where_they_are_from() -> None:
    made = archive(1)
    made.request("http://example.org/0")
    report = ReadReport()
    (document,) = read_pages(io.BytesIO(b"".join(made.packed()[0])), "x.warc.gz", report)
    assert PROSE[0] in document.text and PROSE[1] in document.text
    assert "Home" not in document.text and "var x" not in document.text
    assert document.id.startswith("urn:uuid:")
    assert document.fields["url"] == "http://example.org/0"
    assert document.fields["date"][:2] == "20"
    assert (document.fields["warc_file"], document.fields["warc_offset"]) == ("x.warc.gz", 0)


def test_what_is_no_page_is_skipped_by_reason_and_what_is_broken_is_bad() -> None:
    made = Archive()
    made.response("http://e.org/good", page("Good", PROSE))
    made.response("http://e.org/image", b"\x89PNG\r\n", kind="image/png")
    made.response("http://e.org/gone", page("Gone", PROSE), status="404 Not Found")
    made.response("http://e.org/empty", b"<html><body></body></html>")
    made.response("http://e.org/binary", bytes(range(256)) * 50)
    made.response("http://e.org/torn", b"\x1f\x8b\x08\x00garbage", Content_Encoding="gzip")
    made.response("http://e.org/huge", b"<p>x</p>" * (LONGEST_RECORD // 8 + 1))
    made.response("http://e.org/last", page("Last", PROSE))
    texts, report = pages_of(made)
    offsets = made.packed()[1]
    assert list(texts) == ["good", "last"]
    assert report.skipped == {
        "content of type image/…": 1,
        "status 404": 1,
        "no text in the page": 1,
    }
    assert [offset for _, offset, _ in report.bad] == offsets[4:7]
    assert report.bad_count == 3


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("<p>Grüße aus Köln</p>".encode("latin-1"), "text/html; charset=iso-8859-1"),
        ("<p>Grüße aus Köln</p>".encode(), "text/html; charset=utf-8"),
        ("<meta charset=windows-1252><p>Grüße aus Köln</p>".encode("cp1252"), "text/html"),
        ("\ufeff<p>Grüße aus Köln</p>".encode("utf-16-le"), "text/html; charset=utf-16le"),
        ("<p>Grüße aus Köln</p>".encode(), "text/html; charset=nonsense"),
    ],
)
def test_encodings_are_understood(body: bytes, kind: str) -> None:
    made = Archive()
    made.response("http://e.org/x", body, kind=kind)
    texts, report = pages_of(made)
    assert texts == {"x": "Grüße aus Köln"}, report.bad


def test_a_few_broken_bytes_do_not_cost_a_page() -> None:
    made = Archive()
    made.response("http://e.org/x", page("Page", PROSE).replace(b"rivers", b"riv\xffers"))
    texts, _ = pages_of(made)
    assert "riv�ers" in texts["x"]


def test_encoded_payloads_of_other_crawlers_are_undone() -> None:
    body = page("Page", PROSE)
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    made = Archive()
    made.response("http://e.org/gzip", gzip.compress(body), Content_Encoding="gzip")
    made.response("http://e.org/chunked", chunked, Transfer_Encoding="chunked")
    made.response("http://e.org/said", body, Content_Encoding="br")
    texts, report = pages_of(made)
    assert set(texts) == {"gzip", "chunked", "said"}, report.bad
    assert len(set(texts.values())) == 1


def test_wet_files_give_their_text_as_it_is(tmp_path: Path) -> None:
    made = Archive()
    made.conversion("http://e.org/1", b"Erste Zeile\nZweite Zeile\n")
    made.conversion("http://e.org/2", b"broken \xff\xfe text")
    path = tmp_path / "x.warc.wet.gz"
    path.write_bytes(b"".join(made.packed()[0]))
    (piece,) = find_input_files(str(path), tmp_path)
    report = ReadReport()
    (document,) = read_input(piece, report)
    assert document.text == "Erste Zeile\nZweite Zeile"
    assert document.fields["url"] == "http://e.org/1"
    assert [offset for _, offset, _ in report.bad] == [made.packed()[1][1]]


def test_a_file_that_is_no_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.warc.gz"
    path.write_bytes(b"PK\x03\x04 a zip")
    (piece,) = find_input_files("x.warc.gz", tmp_path)
    with pytest.raises(UsageError, match=r"x\.warc\.gz: found b'PK.*expected a WARC file"):
        list(read_input(piece))


def test_the_other_extractor_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "trafilatura", None)
    with pytest.raises(MissingExtraError, match=r"synthlaw\[trafilatura\]"):
        list(read_pages(io.BytesIO(), "x", ReadReport(), "trafilatura"))


def raw(body: bytes, nl: str, version: str, kind: str = "response", **options: Any) -> bytes:
    """One record, byte by byte."""
    http = options.get("http", nl.join(["HTTP/1.1 200 OK", f"Content-Type: {HTML}"]) + nl * 2)
    said = options.get("said", "application/http; msgtype=response")
    block = http.encode() + body
    lines = [f"WARC/{version}", f"WARC-Type: {kind}", f"Content-Type: {said}"]
    lines += [f"WARC-Target-URI: http://e.org/{options.get('name', 'x')}"]
    lines += [f"Content-Length: {len(block)}"]
    return (nl.join(lines) + nl * 2).encode() + block + options.get("tail", nl * 2).encode()


@pytest.mark.parametrize("version", ["0.17", "0.18", "1.0", "1.1"])
@pytest.mark.parametrize("nl", ["\r\n", "\n"])
@pytest.mark.parametrize("tail", ["\r\n\r\n", "\n\n", "\n", ""])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
@pytest.mark.parametrize("whole", [True, False])
def test_every_dialect_is_read(version: str, nl: str, tail: str, pack: Any, whole: bool) -> None:
    body = page("Page", PROSE)
    records = [raw(body, nl, version, name=str(n), tail=tail) for n in range(4)]
    data = pack(b"".join(records)) if whole else b"".join(map(pack, records))
    report = ReadReport()
    documents = list(read_pages(io.BytesIO(data), "x.warc", report))
    assert [d.fields["url"][-1] for d in documents] == ["0", "1", "2", "3"], report.bad
    assert len({d.id for d in documents}) == 4
    assert report.bad_count == 0


@pytest.mark.parametrize("number", [0, 2, 3])
@pytest.mark.parametrize("damage", ["torn", "flipped", "no WARC record"])
def test_a_broken_frame_of_zstd_costs_one_record(damage: str, number: int) -> None:
    pack = zstandard.ZstdCompressor(write_checksum=True).compress
    frames = [pack(record) for record in archive(4).records]
    spoilt = pack(b"something else entirely")
    frames[number] = spoilt if damage == "no WARC record" else DAMAGE[damage](frames[number])
    good, bad = read(b"".join(frames))
    assert good == [str(n) for n in range(4) if n != number]
    assert len(bad) == 1


def dictionary_archive(made: Archive, *, packed: bool) -> bytes:
    """A .warc.zst as the archive teams write it: a dictionary frame, then a frame a record."""
    samples = [record[k : k + 400] for record in archive(30).records for k in range(0, 800, 100)]
    dictionary = zstandard.train_dictionary(4000, samples)
    held = dictionary.as_bytes()
    held = zstandard.ZstdCompressor().compress(held) if packed else held
    compressor = zstandard.ZstdCompressor(dict_data=dictionary)
    head = b"\x5d\x2a\x4d\x18" + len(held).to_bytes(4, "little") + held
    return head + b"".join(compressor.compress(record) for record in made.records)


@pytest.mark.parametrize("packed", [True, False])
def test_an_archive_with_a_dictionary_is_read(packed: bool) -> None:
    data = dictionary_archive(archive(5), packed=packed)
    assert read(data) == (["0", "1", "2", "3", "4"], [])
    skippable = b"\x51\x2a\x4d\x18\x03\0\0\0abc"
    plain = b"".join(zstandard.ZstdCompressor().compress(r) for r in archive(2).records)
    assert read(skippable + plain + skippable) == (["0", "1"], [])


@pytest.mark.parametrize(
    "head",
    [
        b"\x5d\x2a\x4d\x18\x04\0\0\0abcd",
        b"\x5d\x2a\x4d\x18\xff\xff\xff\xff",
        b"\x5d\x2a\x4d\x18\x08\0\0\0\x28\xb5\x2f\xfdabcd",
        b"\x5d\x2a",
    ],
)
def test_a_dictionary_that_is_none_is_a_broken_file(head: bytes) -> None:
    with pytest.raises(UsageError, match=r"dictionary|expected a WARC file"):
        read(head + zstandard.ZstdCompressor().compress(archive(1).records[0]))


def test_types_of_records_are_read_or_counted() -> None:
    body = page("Page", PROSE)
    kinds = [
        raw(body, "\r\n", "1.0", name="a"),
        raw(body, "\r\n", "1.0", "resource", http="", said="text/html", name="b"),
        raw(b"\x89PNG", "\r\n", "1.0", "resource", http="", said="image/png"),
        raw(b"", "\r\n", "1.0", "revisit"),
        raw(body, "\r\n", "1.0", "continuation", http=""),
        raw(b"1.2.3.4", "\r\n", "1.0", http="", said="text/dns"),
        raw(b"x", "\r\n", "1.0", "metadata", http=""),
        raw(body, "\r\n", "1.0", "nonsense"),
        raw(body, "\r\n", "1.0", http="no status line\r\n\r\n"),
        raw(body, "\r\n", "1.0", http="HTTP/2 200\r\n\r\n", name="c"),
        raw(
            body,
            "\r\n",
            "1.0",
            http="HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            name="d",
        ),
        raw(body, "\r\n", "1.0", http="HTTP/1.1 200 OK\r\nX: 1\r\n more\r\n\r\n", name="e"),
        raw(b"", "\r\n", "1.0", http="HTTP/1.1 200 OK"),
    ]
    report = ReadReport()
    documents = list(read_pages(io.BytesIO(b"".join(kinds)), "x.warc", report))
    assert [d.fields["url"][-1] for d in documents] == ["a", "b", "c", "d", "e"]
    assert report.skipped == {
        "content of type image/…": 1,
        "a page seen before (revisit)": 1,
        "the rest of a page in parts (continuation)": 1,
        "not HTTP": 1,
        "no text in the page": 1,
    }
    assert [reason for _, _, reason in report.bad] == ["a response without an HTTP status line"]


def test_a_label_of_a_wrong_charset_is_corrected_and_nuls_are_left_out() -> None:
    german = "<p>" + "Grüße aus Köln über die schöne Brücke. " * 5 + "</p>"
    made = Archive()
    made.response("http://e.org/latin", german.encode("latin-1"), kind="text/html; charset=utf-8")
    made.response("http://e.org/nul", german.replace("Köln", "K\0öln", 1).encode())
    texts, report = pages_of(made)
    assert texts["latin"].startswith("Grüße aus Köln"), report.bad
    assert "\0" not in texts["nul"]


def test_a_bomb_of_an_archive_costs_itself() -> None:
    bomb = gzip.compress(archive(1).records[0] + bytes(1 << 26))
    good, bad = read(bomb + archive(2).packed()[0][1])
    assert (good, bad) == (["1"], [0])


PACKED = [
    b"".join(map(pack, archive(3).records))
    for pack in (bytes, gzip.compress, zstandard.ZstdCompressor().compress)
]


@given(st.sampled_from(PACKED), st.data())
@settings(max_examples=60, deadline=None)
def test_mutated_archives_end(whole: bytes, data: st.DataObject) -> None:
    spoilt = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(5, 500))
        spoilt[place : place + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    report = ReadReport()
    documents = list(read_pages(io.BytesIO(bytes(spoilt)), "x.warc", report))
    assert documents or report.bad_count or report.skipped
