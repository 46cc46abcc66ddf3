"""Plain text files, a document each."""

from __future__ import annotations

from collections.abc import Iterator

from synthlaw.common.streams import open_binary
from synthlaw.corpus.readers.document import Document
from synthlaw.corpus.readers.html import Extractor
from synthlaw.corpus.readers.input_file import BrokenFileError, InputFile, ReadReport
from synthlaw.corpus.readers.unpack import plain_parts

ENDINGS = (".txt", ".txt.gz", ".md")
LONGEST_FILE = 1 << 28
"""Longest plain text file in bytes that is taken as a document."""


def read(piece: InputFile, report: ReadReport, extractor: Extractor) -> Iterator[Document]:
    """The file as one document. Raises BrokenFileError for an empty or too long one."""
    parts: list[bytes] = []
    size = 0
    with open_binary(piece.path, report.on_read) as stream:
        for part in plain_parts(stream):
            parts.append(part)
            size += len(part)
            if size > LONGEST_FILE:
                raise BrokenFileError(
                    f"more than {LONGEST_FILE} bytes of plain text; expected one document a file"
                )
    if not size:
        raise BrokenFileError("empty: found nothing in it")
    yield Document(piece.label, b"".join(parts).decode("utf-8-sig", "replace"))
