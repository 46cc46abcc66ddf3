"""From records of Common Crawl to documents: WARC responses by extraction, WET conversions as is.

A document keeps where it comes from: `url`, `date`, `warc_record_id`, `warc_file` and
`warc_offset`. What is no page (an image, an error status, a repetition of an earlier answer) is
skipped and counted by reason; what should be one and cannot be read is a bad record and counted
with its offset.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from synthlaw.common.payload import PayloadError, controls_share, decoded
from synthlaw.corpus.readers.document import Document
from synthlaw.corpus.readers.html import Extractor, extractor
from synthlaw.corpus.readers.input_file import ReadReport
from synthlaw.corpus.readers.warc_records import LONGEST_RECORD, BadRecord, Record, read_records

_KINDS = frozenset({"response", "resource", "conversion", "revisit", "continuation"})
_SKIPPED = {
    "revisit": "a page seen before (revisit)",
    "continuation": "the rest of a page in parts (continuation)",
}
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_PAGES = ("text/html", "application/xhtml+xml", "text/plain", "")
_MOST_CONTROLS = 0.02
_MOST_BROKEN = 0.05
_MANY_BROKEN = 0.001
_FEW_BROKEN = 2
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_pages(
    stream: BinaryIO,
    name: str,
    report: ReadReport,
    extraction: Extractor = "resiliparse",
    label: str | None = None,
) -> Iterator[Document]:
    """Documents of a WARC file's HTML responses with status 200 and of a WET file's conversions.

    name: what the file is called in `warc_file`. label: what records without an identity are named
    after. report: takes what is skipped and what is bad.
    """
    extract = extractor(extraction)
    for found in read_records(stream, _KINDS):
        if isinstance(found, BadRecord):
            report.bad_record("offset", found.offset, found.reason)
            continue
        try:
            text = _text(found, extract, report)
        except PayloadError as error:
            report.bad_record("offset", found.offset, f"not readable as text: {error}")
            continue
        if text is None:
            continue
        text = text.replace("\0", "").strip("\n")
        if not text.strip():
            report.skip("no text in the page")
            continue
        yield _document(found, text, name, label or name)


def _document(record: Record, text: str, name: str, label: str) -> Document:
    headers = record.headers
    identity = headers.get("warc-record-id", "").strip("<> ")
    fields = {
        "url": headers.get("warc-target-uri", "").strip("<>"),
        "date": headers.get("warc-date"),
        "warc_record_id": identity or None,
        "warc_file": name,
        "warc_offset": record.offset,
    }
    if "warc-refers-to" in headers:
        fields["warc_refers_to"] = headers["warc-refers-to"].strip("<> ")
    place = f"{label}:{record.offset}" + (f"+{record.part}" if record.part else "")
    return Document(identity or place, text, fields)


def _text(record: Record, extract: Callable[[str], str], report: ReadReport) -> str | None:
    """The text of a record; None, and counted, when it is none that is wanted."""
    if record.kind in _SKIPPED:
        report.skip(_SKIPPED[record.kind])
        return None
    if record.kind == "conversion":
        try:
            return record.body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise PayloadError(str(error)) from None
    if record.kind == "response" and record.status != 200:
        report.skip(f"status {record.status}" if record.status else "not HTTP")
        return None
    headers = record.http if record.kind == "response" else record.headers
    given = headers.get("content-type", "")
    kind = given.partition(";")[0].partition(",")[0].strip().lower()
    if kind not in _PAGES:
        report.skip(f"content of type {kind.partition('/')[0][:40] or '?'}/…")
        return None
    page = _page(decoded(record.body, record.http, LONGEST_RECORD), given)
    return page if kind == "text/plain" else extract(page)


def _page(body: bytes, content_type: str) -> str:
    """A payload as text. Raises PayloadError for what is none."""
    if controls_share(body) > _MOST_CONTROLS and not body.startswith(_WIDE_MARKS):
        declared = _CHARSET.search(content_type)
        if declared is None or not declared[1].lower().startswith("utf-16"):
            raise PayloadError("binary content")
    page = _decoded_text(body, content_type)
    if page.count("\ufffd") > _MOST_BROKEN * len(page):
        raise PayloadError("most of it is in no known encoding")
    return page


def _decoded_text(body: bytes, content_type: str) -> str:
    """The body decoded by its HTTP header, its own meta tag, or what it looks like.

    A label under which much is broken is wrong; then what the bytes look like counts.
    """
    from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

    declared = _CHARSET.search(content_type)
    encoding = None
    if declared is not None:
        encoding = map_encoding_to_html5(declared[1], fallback_utf8=False)
    if encoding is None:
        encoding = detect_encoding(body, from_html_meta=True)
    text = _as_text(body, encoding)
    if text.count("\ufffd") > max(_FEW_BROKEN, _MANY_BROKEN * len(text)):
        other = _as_text(body, detect_encoding(body, from_html_meta=False))
        return min(text, other, key=lambda found: found.count("\ufffd"))
    return text


def _as_text(body: bytes, encoding: str | None) -> str:
    from resiliparse.parse.encoding import bytes_to_str

    return str(bytes_to_str(body, encoding or "utf-8", errors="replace", fallback_encodings=()))
