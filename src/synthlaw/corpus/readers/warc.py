"""From records of Common Crawl to documents: WARC responses by extraction, WET conversions as is.

A document keeps where it comes from: `url`, `date`, `warc_record_id`, `warc_file` and
`warc_offset`. What is no page (an image, an error status) is skipped and counted by reason; what
should be one and cannot be read is a bad record and counted with its offset.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Literal

from synthlaw.common.errors import MissingExtraError
from synthlaw.corpus.documents import Document
from synthlaw.corpus.readers.input_file import ReadReport
from synthlaw.corpus.readers.warc_records import (
    LONGEST_RECORD,
    BadRecord,
    Headers,
    Record,
    read_records,
)

Extractor = Literal["resiliparse", "trafilatura"]

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_PAGES = ("text/html", "application/xhtml+xml", "text/plain", "")
_SAMPLE = 1 << 16
_MOST_CONTROLS = 0.02
_MOST_BROKEN = 0.05


class _UnreadableError(Exception):
    """A payload that says it is a page and is not."""


def read_pages(
    stream: BinaryIO, name: str, report: ReadReport, extractor: Extractor = "resiliparse"
) -> Iterator[Document]:
    """Documents of a WARC file's HTML responses with status 200 and of a WET file's conversions.

    name: what the file is called in `warc_file`. report: takes what is skipped and what is bad.
    """
    extract = _extractor(extractor)
    for found in read_records(stream, frozenset({"response", "conversion"})):
        if isinstance(found, BadRecord):
            report.bad_record(found.offset, found.reason)
            continue
        try:
            text = found.body.decode("utf-8") if found.kind == "conversion" else None
            text = _page_text(found, extract, report) if text is None else text
        except (_UnreadableError, UnicodeDecodeError) as error:
            report.bad_record(found.offset, f"not readable as text: {error}")
            continue
        if text is None:
            continue
        if not text.strip():
            report.skip("no text in the page")
            continue
        yield _document(found, text.strip("\n"), name)


def _document(record: Record, text: str, name: str) -> Document:
    headers = record.headers
    identity = (headers.get("warc-record-id") or "").strip("<> ")
    fields = {
        "url": (headers.get("warc-target-uri") or "").strip("<>"),
        "date": headers.get("warc-date"),
        "warc_record_id": identity or None,
        "warc_file": name,
        "warc_offset": record.offset,
    }
    if "warc-refers-to" in headers:
        fields["warc_refers_to"] = (headers.get("warc-refers-to") or "").strip("<> ")
    return Document(identity or f"{name}:{record.offset}", text, fields)


def _page_text(record: Record, extract: Callable[[str], str], report: ReadReport) -> str | None:
    """The text of a response; None, and counted, when it is none that is wanted."""
    if record.status != 200:
        report.skip(f"status {record.status}" if record.status else "not HTTP")
        return None
    given = record.http.get("content-type") or ""
    kind = given.partition(";")[0].strip().lower()
    if kind not in _PAGES:
        report.skip(f"content of type {kind.partition('/')[0] or '?'}/…")
        return None
    body = _decoded(record.body, record.http)
    sample = body[:_SAMPLE]
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    if controls > _MOST_CONTROLS * len(sample) and not body.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _UnreadableError("binary content")
    page = _as_text(body, _CHARSET.search(given))
    if page.count("�") > _MOST_BROKEN * len(page):
        raise _UnreadableError("most of it is in no known encoding")
    return page if kind == "text/plain" else extract(page)


_CONTROLS = bytes([*range(9), 11, *range(14, 27), *range(28, 32), 127])


def _as_text(body: bytes, charset: re.Match[str] | None) -> str:
    """The body decoded by its HTTP header, its own meta tag, or what it looks like."""
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding, map_encoding_to_html5

    encoding = None
    if charset is not None:
        encoding = map_encoding_to_html5(charset[1], fallback_utf8=False)
    if encoding is None:
        encoding = detect_encoding(body, from_html_meta=True)
    text: str = bytes_to_str(body, encoding or "utf-8", errors="replace", fallback_encodings=())
    return text


def _decoded(body: bytes, http: Headers | dict[str, str]) -> bytes:
    """The payload with its transfer and content encodings undone, where they are not already.

    Common Crawl stores payloads decoded and keeps the headers under other names; other crawlers
    keep both as they came.
    """
    if (http.get("transfer-encoding") or "").lower() == "chunked":
        body = _unchunked(body)
    encoding = (http.get("content-encoding") or "").lower()
    if encoding == "br":
        return _unbrotli(body)
    if encoding in ("gzip", "x-gzip") and body[:2] == b"\x1f\x8b":
        return _inflated(body, 31)
    if encoding == "deflate":
        return _inflated(body, 15 if body[:1] == b"\x78" else -15)
    return body


def _inflated(body: bytes, window: int) -> bytes:
    """What zlib unpacks of the body; a cut one gives what it holds."""
    try:
        found = zlib.decompressobj(window).decompress(body, LONGEST_RECORD)
    except zlib.error as error:
        raise _UnreadableError(f"its content encoding is broken ({error})") from None
    if body and not found:
        raise _UnreadableError("its content encoding is broken (nothing to unpack)")
    return found


def _unbrotli(body: bytes) -> bytes:
    import brotli  # FastWARC brings it

    try:
        unpacker = brotli.Decompressor()
        return bytes(unpacker.process(body, output_buffer_limit=LONGEST_RECORD))
    except brotli.error:
        return body  # decoded already, with the header left as it was


def _unchunked(body: bytes) -> bytes:
    """A chunked body put together; as it is when it is not chunked."""
    parts: list[bytes] = []
    place = 0
    while place < len(body):
        line, end, _ = body[place : place + 64].partition(b"\r\n")
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            return body if not parts else b"".join(parts)
        place += len(line) + len(end)
        if size == 0:
            break
        parts.append(body[place : place + size])
        place += size + 2
    return b"".join(parts)


def _extractor(name: Extractor) -> Callable[[str], str]:
    if name == "trafilatura":
        try:
            import trafilatura
        except ImportError:
            raise MissingExtraError("trafilatura", "trafilatura", "this extraction") from None
        return lambda page: trafilatura.extract(page, include_comments=False) or ""
    from resiliparse.extract.html2text import extract_plain_text

    return lambda page: extract_plain_text(page, main_content=True, alt_texts=False)
