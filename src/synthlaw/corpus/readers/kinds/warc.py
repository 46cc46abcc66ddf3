"""WARC and WET files of a crawl."""

from __future__ import annotations

from collections.abc import Iterator

from synthlaw.common.streams import open_binary
from synthlaw.corpus.readers.document import Document
from synthlaw.corpus.readers.html import Extractor
from synthlaw.corpus.readers.input_file import InputFile, ReadReport
from synthlaw.corpus.readers.warc import read_pages

ENDINGS = tuple(
    kind + packed for kind in (".warc", ".wet", ".warc.wet") for packed in ("", ".gz", ".zst")
)


def read(piece: InputFile, report: ReadReport, extractor: Extractor) -> Iterator[Document]:
    """Documents of a file, a page each."""
    with open_binary(piece.path, report.on_read) as stream:
        yield from read_pages(stream, piece.name, report, extractor, piece.label)
