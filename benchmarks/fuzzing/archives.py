"""WARC and WET files, plain, gzip and zstd: mutated whole, or in one record or header."""

from __future__ import annotations

import gzip
import io
import random
import zlib
from dataclasses import dataclass
from typing import ClassVar

from fuzzing.mutation import mutated

PROSE = "<p>The old bridge was built of stone, and people crossed it every day of the year.</p>"
_WORDS = (
    *(b"Content-Length: 5", b"Content-Length: 999999999", b"Content-Encoding: br"),
    *(b"Content-Encoding: gzip, zstd", b"Content-Encoding: deflate", b"Transfer-Encoding: chunked"),
    *(b"Content-Type: text/html; charset=utf-16", b"Content-Type: image/png", b"HTTP/2 200"),
    *(b"WARC-Type: conversion", b"WARC-Type: resource", b"WARC/0.18", b"<div>", b"<!--", b"<a b='"),
)


def _record(block: bytes, kind: str, said: str, nl: str = "\r\n", version: str = "1.0") -> bytes:
    lines = [
        f"WARC/{version}",
        f"WARC-Type: {kind}",
        "WARC-Record-ID: <urn:uuid:0>",
        "WARC-Date: 2024-05-01T00:00:00Z",
        "WARC-Target-URI: http://example.org/",
        f"Content-Type: {said}",
        f"Content-Length: {len(block)}",
    ]
    return (nl.join(lines) + nl * 2).encode() + block + (nl * 2).encode()


def _response(body: bytes, headers: str, nl: str) -> bytes:
    head = nl.join(["HTTP/1.1 200 OK", *headers.split("|")]) + nl * 2
    return head.encode() + body


def _body(rng: random.Random) -> tuple[bytes, str]:
    """A payload, and the headers that say how it is encoded, truly or not."""
    import brotli
    import zstandard

    page = f"<html><body><article>{PROSE * rng.choice((1, 5, 60))}</article></body></html>".encode()
    if rng.random() < 0.1:
        page = rng.choice((b"<div>", b"<font a=1>x", b"<option>", b"<a b='")) * rng.choice(
            (9, 30_000)
        )
    if rng.random() < 0.03:
        page = bytes(1 << 25)
    names = rng.choices(("gzip", "br", "zstd", "deflate", "identity"), k=rng.choice((0, 0, 1, 2)))
    for name in names:
        if name == "gzip":
            page = gzip.compress(page, mtime=0)
        elif name == "br":
            page = brotli.compress(page, quality=1)
        elif name == "zstd":
            page = zstandard.ZstdCompressor().compress(page)
        elif name == "deflate":
            page = zlib.compress(page)
    if rng.random() < 0.2:
        rng.shuffle(names)
    headers = "Content-Type: text/html; charset=" + rng.choice(("utf-8", "latin-1", "utf-16", "x"))
    if names:
        headers += "|Content-Encoding: " + ", ".join(names)
    if rng.random() < 0.3:
        size = rng.choice((1, 7, 1000))
        chunks = [page[k : k + size] for k in range(0, min(len(page), size * 300), size)]
        page = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n"
        headers += "|Transfer-Encoding: chunked"
    return page, headers


@dataclass(frozen=True)
class _Archive:
    """Archives of one packing: none, gzip by record or whole, zstd by record or whole."""

    packing: str
    extensions: ClassVar[tuple[str, ...]] = ("", ".gz", ".zst")

    def make(self, rng: random.Random) -> bytes:
        """Three to six records, some mutated, packed, and mutated again or not."""
        nl = rng.choice(("\r\n", "\r\n", "\n"))
        version = rng.choice(("1.0", "1.1", "0.18"))
        records = []
        for _ in range(rng.randrange(3, 7)):
            body, headers = _body(rng)
            if rng.random() < 0.3:
                body = mutated(body, rng, _WORDS)
            block = _response(body, headers, nl)
            kind, said = "response", "application/http; msgtype=response"
            if rng.random() < 0.3:
                kind, said, block = "conversion", "text/plain", PROSE.encode() * 3
            made = _record(block, kind, said, nl, version)
            records.append(mutated(made, rng, _WORDS) if rng.random() < 0.4 else made)
        data = self._packed(records)
        return mutated(data, rng) if rng.random() < 0.5 else data

    def _packed(self, records: list[bytes]) -> bytes:
        import zstandard

        pack = zstandard.ZstdCompressor().compress
        match self.packing:
            case "gzip":
                return b"".join(gzip.compress(record, mtime=0) for record in records)
            case "gzip-whole":
                return gzip.compress(b"".join(records), mtime=0)
            case "zstd":
                return b"".join(pack(record) for record in records)
            case "zstd-whole":
                return pack(b"".join(records))
        return b"".join(records)

    def read(self, given: bytes) -> str:
        """Read its pages as `prepare` does."""
        from synthlaw.corpus.readers.input_file import ReadReport
        from synthlaw.corpus.readers.warc import read_pages

        report = ReadReport()
        documents = list(read_pages(io.BytesIO(given), "x.warc", report))
        for document in documents:
            document.text.encode()
        return (
            f"{'some' if documents else 'no'} pages, {'some' if report.bad_count else 'none'} bad"
        )


TARGETS = {
    f"warc-{packing}": _Archive(packing)
    for packing in ("plain", "gzip", "gzip-whole", "zstd", "zstd-whole")
}
