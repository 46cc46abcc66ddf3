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

ENDINGS = JSONL_ENDINGS + PARQUET_ENDINGS


def read(piece: InputFile, report: ReadReport, extractor: Extractor) -> Iterator[Document]:
    """Documents of a file, a row or line each."""
    return labelled_documents(piece.path, piece.label, report)
