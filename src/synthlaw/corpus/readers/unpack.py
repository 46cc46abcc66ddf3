"""Compressed files told by their first bytes, and unpacked within bounds.

A gzip file is a row of members, a zstd file a row of frames (here members too); both may be
unpacked one after the other, and a broken one can be passed over. Input is fed in small steps, so
that no step gives more than a few tens of MB, whatever the input claims.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from synthlaw.corpus.readers.input_file import BrokenFileError

CHUNK = 1 << 18
_WIDEST_WINDOW = 1 << 27
_LARGEST_DICTIONARY = 1 << 24
_SKIPPABLE = b"\x2a\x4d\x18"
_DICTIONARY_FRAME = b"\x5d\x2a\x4d\x18"
_DICTIONARY_MAGIC = b"\x37\xa4\x30\xec"


class MemberError(Exception):
    """A member that cannot be unpacked: where in the file it begins, and why."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset, self.reason = offset, reason


@dataclass(frozen=True)
class Codec:
    """A compression. magic: how a member begins. new: gives an unpacker for one member.

    step: bytes that are unpacked at a time; gzip gives at most 1,032 for one, zstd 32,768.
    """

    name: str
    magic: bytes
    step: int
    new: Callable[[], Any]


@dataclass(frozen=True)
class Part:
    """Unpacked bytes, and where in the file the member begins that they are of."""

    data: bytes
    member: int


GZIP = Codec("gzip", b"\x1f\x8b\x08", 1 << 14, lambda: zlib.decompressobj(31))


def zstd(dictionary: bytes | None = None) -> Codec:
    """The codec zstd, with a dictionary of its own format where there is one."""
    import zstandard

    held = zstandard.ZstdCompressionDict(dictionary) if dictionary is not None else None

    def new() -> Any:
        unpacker = zstandard.ZstdDecompressor(dict_data=held, max_window_size=_WIDEST_WINDOW)
        return unpacker.decompressobj()

    return Codec("zstd", b"\x28\xb5\x2f\xfd", 1 << 11, new)


def codec_of(stream: BinaryIO) -> Codec | None:
    """The codec of a stream by its first bytes; None for a plain one. Leaves it at its start.

    A zstd file that begins with a dictionary frame (as .warc.zst may) is unpacked with it. Raises
    BrokenFileError when that frame holds no dictionary.
    """
    stream.seek(0)
    head = stream.read(8)
    try:
        if head[:3] == GZIP.magic:
            return GZIP
        if head[:4] == _DICTIONARY_FRAME:
            size = struct.unpack("<I", head[4:8].ljust(4, b"\0"))[0]
            return zstd(_dictionary(stream.read(min(size, _LARGEST_DICTIONARY + 1)), size))
        return zstd() if head[:4] == zstd().magic or _is_skippable(head) else None
    finally:
        stream.seek(0)


def _dictionary(data: bytes, size: int) -> bytes:
    """The dictionary of a dictionary frame, unpacked if it is itself compressed."""
    import zstandard

    if size > _LARGEST_DICTIONARY or len(data) < size:
        raise BrokenFileError(f"its dictionary frame of {size} bytes is cut short or too large")
    if data[:4] == zstd().magic:
        try:
            with zstandard.ZstdDecompressor().stream_reader(data) as reader:
                data = reader.read(_LARGEST_DICTIONARY)
        except zstandard.ZstdError as error:
            raise BrokenFileError(f"its dictionary cannot be unpacked ({error})") from None
    if data[:4] != _DICTIONARY_MAGIC:
        raise BrokenFileError(
            f"its dictionary frame begins with {data[:4]!r}; expected a zstd dictionary"
        )
    return data


def _is_skippable(head: bytes) -> bool:
    return len(head) >= 4 and 0x50 <= head[0] <= 0x5F and head[1:4] == _SKIPPABLE


def members(stream: BinaryIO, codec: Codec, start: int = 0) -> Iterator[Part]:
    """The unpacked parts of all members from `start` on, each member with at least one part.

    Zeros between members are padding. Raises MemberError at what is no whole member; its parts so
    far were given.
    """
    stream.seek(start)
    place, data = start, b""
    while True:
        if len(data) < 8:
            data += stream.read(CHUNK)
        if not data:
            return
        if data[0] == 0:
            kept = data.lstrip(b"\0")
            place, data = place + len(data) - len(kept), kept
            continue
        if codec.name == "zstd" and _is_skippable(data):
            place += 8 + struct.unpack("<I", data[4:8].ljust(4, b"\0"))[0]
            stream.seek(place)
            data = b""
            continue
        if not data.startswith(codec.magic):
            raise MemberError(place, f"no {codec.name} member begins where one should")
        used, data = yield from _member(stream, codec, place, data)
        place += used


def _member(
    stream: BinaryIO, codec: Codec, place: int, data: bytes
) -> Generator[Part, None, tuple[int, bytes]]:
    """The parts of one member whose first bytes are `data`; returns its length and what follows."""
    import zstandard

    unpacker = codec.new()
    view = memoryview(data)
    used = 0
    while not unpacker.eof:
        if not view:
            view = memoryview(stream.read(CHUNK))
            if not view:
                raise MemberError(place, f"its {codec.name} member ends early")
        try:
            found = unpacker.decompress(view[: codec.step])
        except (zlib.error, zstandard.ZstdError) as error:
            raise MemberError(place, f"its {codec.name} member is broken ({error})") from None
        except MemoryError:
            raise MemberError(place, f"its {codec.name} member needs too much memory") from None
        used += len(view[: codec.step])
        view = view[codec.step :]
        yield Part(found, place)
    rest = bytes(unpacker.unused_data)
    return used - len(rest), rest + bytes(view)


def plain_parts(stream: BinaryIO) -> Iterator[bytes]:
    """The bytes of a stream part by part, unpacked if its first bytes say that it is packed.

    Raises BrokenFileError where it cannot be read on; what came before was given.
    """
    codec = codec_of(stream)
    if codec is None:
        while chunk := stream.read(CHUNK):
            yield chunk
        return
    try:
        for part in members(stream, codec):
            yield part.data
    except MemberError as error:
        raise BrokenFileError(
            f"cannot be read to its end: at byte {error.offset}, {error.reason}"
        ) from None
