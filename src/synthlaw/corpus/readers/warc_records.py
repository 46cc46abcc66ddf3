"""Records of WARC files as crawlers publish them; a broken record costs only itself.

    at the start of a record ─► header ─► Content-Length ─► block ─► is the next record behind it?
            ▲                     └─ no ─┬──────┘                        │ no
            │                            ▼                               ▼
            └──────── the next record: where a member begins, or a line that says WARC/

Every version from 0.17 on, lines that end in CR LF or LF, plain, gzip or zstd (with a dictionary),
a member for each record or for many. A record is given only when what is behind it fits: a wrong
length shows only there. FastWARC is three times as fast, but ends at the first broken member and
reads no bare LF; text is extracted at a third of the speed of reading.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from synthlaw.corpus.readers.input_file import BrokenFileError
from synthlaw.corpus.readers.unpack import codec_of
from synthlaw.corpus.readers.window import Window

LONGEST_RECORD = 1 << 24
"""Longest block in bytes that is read; Common Crawl cuts pages at 1 MiB (5 MiB since 2025)."""

_LONGEST_HEADER = 1 << 16
_FARTHEST = 1 << 30
"""Bytes through which the next record is looked for before a member is given up."""

_MAGIC = b"WARC/"
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LINE_ENDS = re.compile(rb"[\r\n]*")
_VERSION = re.compile(rb"WARC/\d+\.\d+[ \t]*\r?\n")
_NEXT = re.compile(rb"\n(?=WARC/\d\.\d+[ \t]*\r?\n[A-Za-z-]+:)")
_LONGEST_NEXT = 64
_STATUS = re.compile(rb"HTTP/\d+(?:\.\d+)?[ \t]+(\d{3})")

Headers = dict[str, str]
"""Headers by name in lower case; of a name that stands twice, the values with commas."""


@dataclass(frozen=True)
class Record:
    """One record: where it begins, its type, its WARC headers, its block.

    part: how many records begin before it at the same offset. For an HTTP response `body` is the
    payload as transferred, with `http` its headers and `status`; else `http` is empty, `status`
    None and `body` the whole block.
    """

    offset: int
    part: int
    kind: str
    headers: Headers
    body: bytes
    http: Headers
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
    Memory is two records. Raises BrokenFileError when it is no WARC file at all.
    """
    codec = codec_of(stream)
    if codec is None:
        head = stream.read(64)
        if head and not head.lstrip(b"\xef\xbb\xbf\r\n").startswith(_MAGIC):
            raise BrokenFileError(
                f"found {head[:5]!r} at its start; expected a WARC file (plain, gzip or zstd)"
            )
    yield from _Archive(Window(stream, codec), kinds).records()


class _Archive:
    """The records of one archive, one after the other."""

    def __init__(self, window: Window, kinds: frozenset[str]) -> None:
        self._window, self._kinds = window, kinds
        self._place = 0
        self._last, self._part = -1, 0

    def records(self) -> Iterator[Found]:
        """Every record that is wanted or bad."""
        window = self._window
        blamed = -1
        while True:
            if self._at_record():
                offset = window.offset(self._place)
                self._part = self._part + 1 if offset == self._last else 0
                self._last = offset
                found = self._record(offset)
                window.drop(min(self._place, window.end))
                if isinstance(found, BadRecord):
                    blamed = offset
                if found is not None:
                    yield found
                continue
            if window.fault is None:
                return
            if window.fault.offset != blamed:
                yield BadRecord(window.fault.offset, window.fault.reason)
            if not window.recover(_MAGIC):
                return

    def _at_record(self) -> bool:
        """Go past line ends to where a record should begin; False where there are no more bytes."""
        window = self._window
        if self._place == 0 and window.fill(3) and window.data.startswith(b"\xef\xbb\xbf"):
            self._place = 3
        while window.fill(self._place + 1):
            ends = _LINE_ENDS.match(window.data, self._place - window.base)
            self._place = window.base + (ends.end() if ends else 0)
            if self._place < window.end:
                return True
        return False

    def _record(self, offset: int) -> Found | None:
        """The record at the place, if it is wanted or bad; the place is then behind it."""
        window, start = self._window, self._place
        window.fill(start + _LONGEST_HEADER)
        head = window.cut(start, min(window.end, start + _LONGEST_HEADER))
        gap = _BLANK_LINE.search(head)
        if not _VERSION.match(head) or gap is None:
            return self._bad(offset, start + 1, "no WARC header")
        headers = parse_headers(head[: gap.start()])
        length = headers.get("content-length", "")
        if not re.fullmatch(r"\d{1,18}", length, re.ASCII):
            return self._bad(offset, start + 1, "no WARC header with one Content-Length")
        first = start + gap.end()
        end = first + int(length)
        if end - first > LONGEST_RECORD:
            return self._too_long(offset, first, end)
        behind = self._behind(first, end)
        if behind is None:
            return self._bad(offset, first, f"its Content-Length, {length}, is not its length")
        block = window.cut(first, end)
        if (inner := _swallowed(block, headers)) is not None:
            self._place = first + inner
            return BadRecord(offset, f"its Content-Length, {length}, takes in the next record")
        self._place = behind
        kind = headers.get("warc-type", "").lower()
        return self._made(offset, kind, headers, block) if kind in self._kinds else None

    def _broken_inside(self, end: int) -> bool:
        """Whether the member that holds the byte before `end` turned out to be broken."""
        fault = self._window.fault
        return fault is not None and self._window.offset(end - 1) == fault.offset

    def _behind(self, first: int, end: int) -> int | None:
        """Where the record behind the block [first, end) begins; None if its length is wrong."""
        window = self._window
        whole = window.fill(end + 16) or window.end >= end
        if not whole or self._broken_inside(end):
            return None
        if any(window.cut(p, p + 5) == _MAGIC for p in window.starts(first, end)):
            return None
        tail = window.cut(end, min(window.end, end + 16))
        rest = tail.lstrip(b"\r\n")
        place = end + len(tail) - len(rest)
        return (
            place if not rest or rest.startswith(_MAGIC) or window.starts(end, place + 1) else None
        )

    def _made(self, offset: int, kind: str, headers: Headers, block: bytes) -> Found:
        said = headers.get("content-type", "").lower()
        if kind != "response" or not (said.startswith("application/http") or block[:5] == b"HTTP/"):
            return Record(offset, self._part, kind, headers, block, {}, None)
        parsed = _http(block)
        if isinstance(parsed, str):
            return BadRecord(offset, parsed)
        status, http, body = parsed
        return Record(offset, self._part, kind, headers, body, http, status)

    def _too_long(self, offset: int, first: int, end: int) -> BadRecord:
        """A record of more than is read: gone past without keeping it."""
        reason = f"block of {end - first} bytes; at most {LONGEST_RECORD} are read"
        window = self._window
        here, kept = window.base, bytes(window.data)
        if window.jump(end):
            window.fill(end + 16)
            if window.data[:16].lstrip(b"\r\n").startswith(_MAGIC):
                self._place = end
                return BadRecord(offset, reason)
            window.jump(here + len(kept))
            window.data, window.base = bytearray(kept), here
        return self._bad(offset, first, reason)

    def _bad(self, offset: int, start: int, reason: str) -> BadRecord:
        """A bad record; the place is then where the next begins, looked for from `start` on."""
        window = self._window
        searched = start
        while searched - start < _FARTHEST:
            at = self._next_start(searched)
            if at is not None:
                self._place = at
                return BadRecord(offset, reason)
            searched = max(searched, window.end - _LONGEST_NEXT)
            window.drop(searched)
            if not window.fill(window.end + 1):
                break
        else:
            window.abandon()
        self._place = window.end
        window.drop(window.end)
        fault = window.fault
        return BadRecord(offset, fault.reason if fault and fault.offset == offset else reason)

    def _next_start(self, start: int) -> int | None:
        """Where, from `start` on, the next record begins in what is here."""
        window = self._window
        found = _NEXT.search(window.data, max(0, start - 1 - window.base))
        places = [] if found is None else [window.base + found.end()]
        for place in window.starts(start, window.end):
            window.fill(place + 5)
            if window.cut(place, place + 5) == _MAGIC:
                places.append(place)
                break
        return min(places, default=None)


def parse_headers(head: bytes) -> Headers:
    """The header lines behind the first line of `head`; a line that begins with a space goes on."""
    found: Headers = {}
    name = ""
    for line in head.decode("utf-8", "replace").split("\n")[1:]:
        if line[:1] in (" ", "\t") and name:
            found[name] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower() if colon else ""
        if name:
            before = found.get(name)
            value = value.strip()
            found[name] = value if before in (None, value) else f"{before}, {value}"
    return found


def _http(block: bytes) -> tuple[int, Headers, bytes] | str:
    """Status, headers and payload of an HTTP response, or what is wrong with it."""
    place = 0
    while True:
        status = _STATUS.match(block, place)
        if status is None:
            return "a response without an HTTP status line"
        gap = _BLANK_LINE.search(block, place, place + _LONGEST_HEADER)
        if gap is None and len(block) - place > _LONGEST_HEADER:
            return "a response without an end of its HTTP headers"
        head_end, body = (gap.start(), gap.end()) if gap else (len(block), len(block))
        if 100 <= int(status[1]) < 200 and block.startswith(b"HTTP/", body):
            place = body  # an interim answer; the one that counts is behind it
            continue
        return int(status[1]), parse_headers(block[place:head_end]), block[body:]


def _swallowed(block: bytes, headers: Headers) -> int | None:
    """Where inside the block another record begins, if the digest gives it away."""
    inner = _NEXT.search(block)
    if inner is None:
        return None
    name, _, said = headers.get("warc-block-digest", "").partition(":")
    if name.lower() not in ("sha1", "sha256", "md5"):
        return None
    digest = hashlib.new(name.lower(), block, usedforsecurity=False)
    right = (digest.hexdigest(), base64.b32encode(digest.digest()).decode().lower().rstrip("="))
    return None if said.strip().lower().rstrip("=") in right else inner.end()
