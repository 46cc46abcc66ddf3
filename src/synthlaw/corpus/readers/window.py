"""A sliding view of an archive's unpacked bytes that remembers where members begin.

Places are those of the unpacked bytes; an offset is where in the file the member begins that a
place is in, or the place itself in a plain file. Memory is what lies between `drop` and `fill`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import BinaryIO

from synthlaw.corpus.readers.unpack import CHUNK, Codec, MemberError, Part, members


class Window:
    """The bytes of `stream` from `base` on, as far as they were asked for."""

    def __init__(self, stream: BinaryIO, codec: Codec | None) -> None:
        self._stream, self._codec = stream, codec
        self.data = bytearray()
        self.base = 0
        self.fault: MemberError | None = None
        """Why there are no more bytes: the member that is broken; None at the file's end."""
        self._starts: list[int] = []
        self._offsets: list[int] = []
        self._parts = self._from(0)

    @property
    def end(self) -> int:
        """The place behind the last byte that is here."""
        return self.base + len(self.data)

    def _from(self, offset: int) -> Iterator[Part]:
        if self._codec is not None:
            return members(self._stream, self._codec, offset)
        self._stream.seek(offset)
        return (Part(chunk, 0) for chunk in iter(lambda: self._stream.read(CHUNK), b""))

    def fill(self, end: int) -> bool:
        """Read until the bytes before `end` are here; whether they are."""
        while self.end < end:
            if self.fault is not None:
                return False
            try:
                part = next(self._parts, None)
            except MemberError as fault:
                self.fault = fault
                return False
            if part is None:
                return False
            self._take(part)
        return True

    def _take(self, part: Part) -> None:
        if self._codec is not None and (not self._offsets or self._offsets[-1] != part.member):
            self._starts.append(self.end)
            self._offsets.append(part.member)
        self.data += part.data

    def drop(self, place: int) -> None:
        """Forget the bytes before `place`."""
        del self.data[: place - self.base]
        self.base = place
        known = bisect_right(self._starts, place) - 1
        if known > 0:
            del self._starts[:known], self._offsets[:known]

    def cut(self, start: int, end: int) -> bytes:
        """The bytes [start, end), which must be here."""
        return bytes(self.data[start - self.base : end - self.base])

    def offset(self, place: int) -> int:
        """The offset of a place that was not dropped."""
        if self._codec is None:
            return place
        return self._offsets[max(0, bisect_right(self._starts, place) - 1)]

    def starts(self, first: int, last: int) -> list[int]:
        """Places in [first, last) at which members begin, as far as was read."""
        return [place for place in self._starts if first <= place < last]

    def jump(self, place: int) -> bool:
        """Go on at `place` of a plain file without reading up to it; False for a packed one."""
        if self._codec is not None:
            return False
        self._parts = self._from(place)
        self.data, self.base = bytearray(), place
        return True

    def abandon(self) -> None:
        """Give up the member that was read last."""
        self.fault = MemberError(self._offsets[-1], "given up")

    def recover(self, beginning: bytes) -> bool:
        """Go on behind the broken member with the next that holds `beginning` at its start.

        What is here is dropped. False when there is none.
        """
        if self._codec is None or self.fault is None:
            return False
        found = self._next_member(self.fault.offset + 1, beginning)
        if found is None:
            return False
        self.fault = None
        self.drop(self.end)
        self._starts, self._offsets = [], []
        self._parts = self._from(found)
        return True

    def _next_member(self, start: int, beginning: bytes) -> int | None:
        assert self._codec is not None
        while (found := self._find(start, self._codec.magic)) is not None:
            try:
                part = next(members(self._stream, self._codec, found), None)
            except MemberError:
                part = None
            if part is not None and part.data.startswith(beginning):
                return found
            start = found + 1
        return None

    def _find(self, start: int, wanted: bytes) -> int | None:
        """Where `wanted` stands first in the file from `start` on."""
        self._stream.seek(start)
        kept = b""
        while chunk := self._stream.read(CHUNK):
            window = kept + chunk
            at = window.find(wanted)
            if at >= 0:
                return start + at
            kept = window[-(len(wanted) - 1) :]
            start += len(window) - len(kept)
        return None
