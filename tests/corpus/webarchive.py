"""WARC and WET files for tests, written by warcio as crawlers write them."""

from __future__ import annotations

import gzip
import io
import re
from dataclasses import dataclass, field

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

HTML = "text/html; charset=utf-8"


@dataclass
class Archive:
    """The bytes of an archive, record by record, plain."""

    records: list[bytes] = field(default_factory=list)

    def response(
        self, url: str, body: bytes, kind: str = HTML, status: str = "200 OK", **headers: str
    ) -> None:
        """Add an HTTP response."""
        given = [("Content-Type", kind), *((k.replace("_", "-"), v) for k, v in headers.items())]
        http = StatusAndHeaders(status, given, protocol="HTTP/1.1")
        self._add(url, "response", body, http_headers=http)

    def conversion(self, url: str, text: bytes) -> None:
        """Add a WET file's plain text."""
        self._add(url, "conversion", text, warc_content_type="text/plain")

    def request(self, url: str) -> None:
        """Add the request that a crawler made."""
        http = StatusAndHeaders("GET / HTTP/1.1", [("Host", "example.org")], is_http_request=True)
        self._add(url, "request", b"", http_headers=http)

    def _add(self, url: str, kind: str, body: bytes, **options: object) -> None:
        stream = io.BytesIO()
        writer = WARCWriter(stream, gzip=False)
        record = writer.create_warc_record(url, kind, payload=io.BytesIO(body), **options)
        writer.write_record(record)
        self.records.append(stream.getvalue())

    def packed(self) -> tuple[list[bytes], list[int]]:
        """A gzip member for each record, and where each begins."""
        members = [gzip.compress(record, mtime=0) for record in self.records]
        return members, [sum(map(len, members[:n])) for n in range(len(members))]


def with_length(record: bytes, change: int) -> bytes:
    """The record with its Content-Length wrong by `change`."""

    def changed(match: re.Match[bytes]) -> bytes:
        return b"Content-Length: %d" % (int(match[1]) + change)

    return re.sub(rb"Content-Length: (\d+)", changed, record, count=1)


def page(title: str, paragraphs: list[str]) -> bytes:
    """An HTML page as sites make them: navigation, article, footer."""
    article = "".join(f"<p>{text}</p>" for text in paragraphs)
    return (
        f"<html><head><meta charset='utf-8'><title>{title}</title></head><body>"
        f"<nav><a href='/'>Home</a> <a href='/about'>About</a></nav>"
        f"<article><h1>{title}</h1>{article}</article>"
        "<footer>All rights reserved</footer><script>var x = 1;</script></body></html>"
    ).encode()
