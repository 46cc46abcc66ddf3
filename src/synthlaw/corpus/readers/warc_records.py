"""Records of WARC files, as Common Crawl publishes them; a broken record costs only itself.

    fast path: FastWARC over the whole stream
        └─ an error, a record that does not add up, or the last one
           ─► slow path: that record's own gzip member, or its stretch of a plain file, checked
              byte by byte ─► fast path behind it

FastWARC gives up at the first broken member, and a wrong Content-Length shows only at the *next*
header, when the record has been handed out already. So a record is held back until the one behind
it was found. Offsets are those of the file: of its compressed bytes where it is compressed.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from synthlaw.common.errors import UsageError

LONGEST_RECORD = 1 << 24
"""Longest block in bytes that is read; Common Crawl cuts pages at 1 MiB (5 MiB since 2025)."""

_LONGEST_MEMBER = 1 << 26
_CHUNK = 1 << 18
_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
_INNER_HEADER = b"\r\n\r\nWARC/1."
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)

_DIGEST = re.compile(
    rb"^warc-block-digest:[ \t]*sha1:([a-z2-7]{32})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)


class Headers(Protocol):
    """Headers as FastWARC keeps them; names in any case."""

    def get(self, key: str, default: str | None = None, /) -> str | None:
        """The value of `key`."""
        ...

    def __contains__(self, key: object, /) -> bool: ...


@dataclass(frozen=True)
class Record:
    """One record: where it begins, its type, its WARC headers, its block.

    For an HTTP response `body` is the payload as transferred, with `http` its headers and
    `status`; else `http` is empty, `status` None and `body` the whole block.
    """

    offset: int
    kind: str
    headers: Headers
    body: bytes
    http: Headers | dict[str, str]
    status: int | None


@dataclass(frozen=True)
class BadRecord:
    """A record that cannot be used: where it begins and what is wrong with it."""

    offset: int
    reason: str


Found = Record | BadRecord


def read_records(stream: BinaryIO, kinds: frozenset[str]) -> Iterator[Found]:
    """Records of the given types ("response", "conversion", …) and every bad record, in order.

    stream: seekable. Records of other types are checked only as far as reading on requires.
    Memory is two records. Raises UsageError when it is no WARC file at all.
    """
    head = stream.read(5)
    if not head:
        return
    if head[:3] != _GZIP and head[:4] != _ZSTD and head != b"WARC/":
        raise UsageError(f"found {head!r} at its start; expected a WARC file (plain, gzip or zstd)")
    place: int | None = 0
    while place is not None:
        stopped = yield from _fast(stream, place, kinds)
        if stopped is None:
            return
        if head[:4] == _ZSTD:
            yield BadRecord(stopped, "broken or false record; behind it a zstd file is not read on")
            return
        slow = _slow_packed if head[:3] == _GZIP else _slow_plain
        place = yield from slow(stream, stopped, kinds)


def _fast(
    stream: BinaryIO, start: int, kinds: frozenset[str]
) -> Generator[Found, None, int | None]:
    """Records from `start` on; returns where a doubtful one or the last begins, None at the end."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    wanted = WarcRecordType.no_type
    for kind in kinds:
        wanted |= getattr(WarcRecordType, kind)
    stream.seek(start)
    held: Found | None = None
    place = start
    try:
        for raw in ArchiveIterator(stream, record_types=wanted, parse_http=False):
            if held is not None:
                yield held
            place = raw.stream_pos
            held = _record(raw, place)
            if held is None:
                return place
    except OSError:
        return place
    # FastWARC also ends, without a word, at a member that is torn just before its check sum.
    stream.seek(place)
    if stream.read(5).startswith((_GZIP, b"WARC/")):
        return place
    if held is not None:
        yield held
    return None


def _record(raw: Any, offset: int, *, checked: bool = False) -> Found | None:
    """The record that FastWARC stands at; None when its length is in doubt, or too much to read.

    checked: its length has been found right, so a header inside it is text that it quotes.
    """
    if raw.content_length > LONGEST_RECORD:
        return None
    http: Headers | dict[str, str] = {}
    status = None
    if raw.is_http:
        raw.parse_http(auto_decode="none")
        http = raw.http_headers
        status = raw.http_headers.status_code
    body = raw.reader.read()
    if len(body) != raw.content_length or (not checked and _INNER_HEADER in body):
        return None
    if raw.is_http and status is None:
        return BadRecord(offset, "a response without an HTTP status line")
    return Record(offset, str(raw.record_type), raw.headers, body, http, status)


def _slow_packed(
    stream: BinaryIO, start: int, kinds: frozenset[str]
) -> Generator[Found, None, int | None]:
    """The records of the gzip member at `start`; returns where the next member begins."""
    try:
        data, end = _member(stream, start)
    except (zlib.error, EOFError) as error:
        stream.seek(start)
        if stream.read(3) != _GZIP:
            why = (
                "is not where it begins: several records share a gzip member; no more of it is read"
            )
        else:
            why = "ends early" if isinstance(error, EOFError) else "is broken"
        yield BadRecord(start, f"its gzip member {why}")
        return _next_member(stream, start + 1)
    place: int | None = 0
    inner = io.BytesIO(data)
    while place is not None:
        place = yield from _slow_plain(inner, place, kinds, offset=start)
    stream.seek(end)
    if not stream.read(1):
        return None
    return end


def _member(stream: BinaryIO, start: int) -> tuple[bytes, int]:
    """The gzip member at `start`, unpacked, and where it ends."""
    stream.seek(start)
    unpacker = zlib.decompressobj(31)
    parts: list[bytes] = []
    size, read = 0, 0
    while not unpacker.eof:
        chunk = unpacker.unconsumed_tail
        if not chunk:
            chunk = stream.read(_CHUNK)
            read += len(chunk)
        if not chunk:
            raise EOFError
        parts.append(unpacker.decompress(chunk, _CHUNK * 4))
        size += len(parts[-1])
        if size > _LONGEST_MEMBER:
            raise zlib.error(f"more than {_LONGEST_MEMBER} bytes")
    return b"".join(parts), start + read - len(unpacker.unused_data)


def _next_member(stream: BinaryIO, start: int) -> int | None:
    """Where, from `start` on, the next gzip member begins that holds a WARC record."""
    while (found := _find(stream, start, _GZIP)) is not None:
        stream.seek(found)
        try:
            if zlib.decompressobj(31).decompress(stream.read(_CHUNK), 5) == b"WARC/":
                return found
        except zlib.error:
            pass
        start = found + 1
    return None


def _find(stream: BinaryIO, start: int, wanted: bytes) -> int | None:
    """Where `wanted` stands first from `start` on."""
    stream.seek(start)
    kept = b""
    while chunk := stream.read(_CHUNK):
        window = kept + chunk
        at = window.find(wanted)
        if at >= 0:
            return start + at
        kept = window[-(len(wanted) - 1) :]
        start += len(window) - len(kept)
    return None


def _slow_plain(
    stream: BinaryIO, start: int, kinds: frozenset[str], *, offset: int | None = None
) -> Generator[Found, None, int | None]:
    """The record at `start` of a plain stream; returns where the next one begins.

    offset: where the record is said to be, when the stream is one member of a file.
    """
    said = start if offset is None else offset
    stream.seek(start)
    head, gap, _ = stream.read(_CHUNK).partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if head[:7] != b"WARC/1." or not gap or length is None:
        yield BadRecord(said, "no WARC header with a Content-Length")
        return _behind(_find(stream, start + 1, _INNER_HEADER))
    first = start + len(head) + 4
    stream.seek(first + int(length[1]))
    tail = stream.read(9)
    if tail[:4] != b"\r\n\r\n" or tail[4:] not in (b"", b"WARC/"):
        behind = _behind(_find(stream, first, _INNER_HEADER))
        yield BadRecord(said, f"its Content-Length, {length[1].decode()}, is not its length")
        return behind
    end = first + int(length[1]) + 4
    inner = None if int(length[1]) > LONGEST_RECORD else _swallowed(stream, head, first, end - 4)
    if inner is not None:
        yield BadRecord(said, f"its Content-Length, {length[1].decode()}, takes in the next record")
        return inner
    if int(length[1]) <= LONGEST_RECORD:
        yield from _one(stream, start, end, kinds, said)
    else:
        size = length[1].decode()
        yield BadRecord(said, f"block of {size} bytes; at most {LONGEST_RECORD} are read")
    return end if len(tail) > 4 else None


def _swallowed(stream: BinaryIO, head: bytes, first: int, end: int) -> int | None:
    """Where inside the block [first, end) another record begins, if the digest gives it away."""
    digest = _DIGEST.search(head)
    if digest is None:
        return None
    stream.seek(first)
    block = stream.read(end - first)
    inner = block.find(_INNER_HEADER)
    right = base64.b32encode(hashlib.sha1(block, usedforsecurity=False).digest())
    return None if inner < 0 or right == digest[1].upper() else first + inner + 4


def _behind(found: int | None) -> int | None:
    return None if found is None else found + 4


def _one(
    stream: BinaryIO, start: int, end: int, kinds: frozenset[str], offset: int
) -> Iterator[Found]:
    """The record in [start, end), whose length is right."""
    from fastwarc.warc import ArchiveIterator

    stream.seek(start)
    try:
        for raw in ArchiveIterator(io.BytesIO(stream.read(end - start)), parse_http=False):
            if str(raw.record_type) in kinds:
                yield _record(raw, offset, checked=True) or BadRecord(offset, "cut short")
    except OSError as error:
        yield BadRecord(offset, f"unreadable header ({error})")
