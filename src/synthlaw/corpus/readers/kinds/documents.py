"""JSONL and Parquet files of documents."""

from __future__ import annotations

from collections.abc import Iterator

from synthlaw.corpus.readers.document import Document
from synthlaw.corpus.readers.document_files import (
    JSONL_ENDINGS,
    PARQUET_ENDINGS,
    labelled_documents,
)
from synthlaw.corpus.readers.html import Extractor
from synthlaw.corpus.readers.input_file import InputFile, ReadReport
from synthlaw.corpus.readers.ranges import range_of

ENDINGS = JSONL_ENDINGS + PARQUET_ENDINGS


def read(piece: InputFile, report: ReadReport, extractor: Extractor) -> Iterator[Document]:
    """Documents of a file, or of the range of it that is asked for; a row or line each."""
    return labelled_documents(piece.path, piece.label, report, range_of(piece))
