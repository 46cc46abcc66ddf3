"""A large file of documents as several pieces of input, so that several processes read it.

JSON lines are cut behind line ends, Parquet between row groups, at places that follow from the
file alone. The pieces give the documents that the whole file gives, under the same identities: a
piece of lines knows how many come before it. Packed lines, lists, other encodings than UTF-8 and
remote files stay whole, and so does what is no such file at all: reading it says why.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from synthlaw.common.parts import group
from synthlaw.common.progress import Meter, meter
from synthlaw.common.streams import is_remote
from synthlaw.corpus.readers.input_file import InputFile
from synthlaw.corpus.readers.unpack import CHUNK, codec_of

DOCUMENTS = "documents"
"""The kind of input files that may be cut."""

PARQUET_MAGIC = b"PAR1"
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_OPTIONS = ("first", "end", "before")
_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Range:
    """Bytes of a file of lines, or row groups of a Parquet file, from `first` up to `end`.

    before: lines of the file that come before it.
    """

    first: int
    end: int
    before: int = 0

    def options(self) -> dict[str, str]:
        """The range as options of an input file."""
        values = (self.first, self.end, self.before)
        return {name: str(value) for name, value in zip(_OPTIONS, values, strict=True)}

    def parts(self, stream: BinaryIO) -> Iterator[bytes]:
        """The bytes of the range."""
        stream.seek(self.first)
        left = self.end - self.first
        while left > 0 and (chunk := stream.read(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk


def range_of(piece: InputFile) -> Range | None:
    """The range that an input file stands for; None for a whole one."""
    if not set(_OPTIONS) <= set(piece.options):
        return None
    return Range(*(int(piece.options[name]) for name in _OPTIONS))


def cut(files: Sequence[InputFile], most: int) -> list[InputFile]:
    """The files, those that can be cut as pieces of one size each, about `most` bytes.

    Reads large files of lines once, to count them.
    """
    large = sum(file.size for file in files if _may_be_cut(file, most))
    if not large:
        return list(files)
    with meter("looking for line ends", large, "bytes") as shown:
        return [piece for file in files for piece in _cut(file, most, shown)]


def _may_be_cut(file: InputFile, most: int) -> bool:
    plain = file.kind == DOCUMENTS and not file.options and not is_remote(file.path)
    return plain and round(file.size / most) > 1


def _cut(file: InputFile, most: int, shown: Meter) -> list[InputFile]:
    if not _may_be_cut(file, most):
        return [file]
    most = -(-file.size // round(file.size / most))  # pieces of one size, no small rest
    try:
        with Path(file.path).open("rb") as stream:
            if stream.read(4) == PARQUET_MAGIC:
                found = _row_groups(stream, most)
            else:
                found = _lines(stream, most, shown) if _is_plain_lines(stream) else []
    except (OSError, ValueError, pa.ArrowException):
        return [file]  # whoever reads it tells why it cannot be read
    if len(found) < 2:
        return [file]
    return [replace(file, options=one.options(), size=size) for one, size in found]


def _is_plain_lines(stream: BinaryIO) -> bool:
    if codec_of(stream) is not None:
        return False
    head = stream.read(1 << 10)
    wide = any(head.startswith(mark) for mark in _WIDE)
    return not wide and not head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")


def _row_groups(stream: BinaryIO, most: int) -> list[tuple[Range, int]]:
    metadata = pq.ParquetFile(stream).metadata
    sizes = [_packed_bytes(metadata.row_group(n)) for n in range(metadata.num_row_groups)]
    groups = group(sizes, most)
    return [(Range(some.start, some.stop), sum(sizes[some.start : some.stop])) for some in groups]


def _packed_bytes(found: pq.RowGroupMetaData) -> int:
    return sum(found.column(n).total_compressed_size for n in range(found.num_columns))


def _lines(stream: BinaryIO, most: int, shown: Meter) -> list[tuple[Range, int]]:
    """Ranges that end behind the first line end from `most` bytes on, or at the file's end."""
    found: list[tuple[Range, int]] = []
    first = place = before = lines = 0
    stream.seek(0)
    while data := stream.read(_AT_ONCE):
        start = 0
        while place + len(data) - first >= most:
            at = data.find(b"\n", max(start, first + most - 1 - place))
            if at < 0:
                break
            lines += data.count(b"\n", start, at + 1)
            start = at + 1
            found.append((Range(first, place + start, before), place + start - first))
            first, before = place + start, lines
        lines += data.count(b"\n", start)
        place += len(data)
        shown.advance(len(data))
    if place > first:
        found.append((Range(first, place, before), place - first))
    return found
