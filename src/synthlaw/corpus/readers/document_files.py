"""JSONL and Parquet files of documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from synthlaw.common.errors import UsageError
from synthlaw.common.streams import open_binary
from synthlaw.corpus.readers.document import Document, document_from_row
from synthlaw.corpus.readers.input_file import BadDocumentError, BrokenFileError, ReadReport
from synthlaw.corpus.readers.jsonl import json_rows
from synthlaw.corpus.readers.ranges import PARQUET_MAGIC, Range
from synthlaw.corpus.readers.table import table_rows
from synthlaw.corpus.readers.unpack import plain_parts

DOCUMENTS_FOLDER = "documents"
"""Inside what `prepare` or `generate` filled: its documents."""

JSONL_ENDINGS = tuple(
    kind + packed for kind in (".jsonl", ".json", ".ndjson") for packed in ("", ".gz", ".zst")
)
PARQUET_ENDINGS = (".parquet",)


def read_documents(path: Path | str, report: ReadReport | None = None) -> Iterator[Document]:
    """Documents of one JSONL or Parquet file (local or a URL), in its order; memory is one batch.

    report: takes what is no document; without one, that raises UsageError naming file and line.
    Raises UsageError for an ending that is none of ours, BrokenFileError for a file that cannot be
    read on.
    """
    place = str(path)
    check_kind(place)
    report = ReadReport(strict=True) if report is None else report
    report.path = place
    try:
        yield from labelled_documents(place, Path(place).name, report)
    except BrokenFileError as error:
        raise UsageError(f"{place}: {error}") from None


def check_kind(place: str) -> None:
    """Raise UsageError for a file whose ending is none of ours."""
    known = (*JSONL_ENDINGS, *PARQUET_ENDINGS)
    if not place.lower().endswith(known):
        raise UsageError(
            f"{place}: found the ending '{Path(place).suffix}'; expected one of {', '.join(known)}"
        )


def labelled_documents(
    path: str, label: str, report: ReadReport, only: Range | None = None
) -> Iterator[Document]:
    """Documents of one file, or of a range of it; those without an identity are named
    `label:line`."""
    with open_binary(path, report.on_read) as stream:
        for unit, number, row in _rows(stream, path, report, only):
            place = f"{label}:{number}" if unit == "line" else f"{label}:{unit} {number}"
            try:
                document = document_from_row(row, place)
            except BadDocumentError as error:
                report.bad_record(unit, number, str(error))
                continue
            yield document


def _rows(
    stream: BinaryIO, path: str, report: ReadReport, only: Range | None
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Rows with their unit and number; the first bytes say whether the file is Parquet."""
    head = stream.read(4)
    stream.seek(0)
    if head == PARQUET_MAGIC:
        groups = None if only is None else range(only.first, only.end)
        for number, row in table_rows(stream, report, groups=groups):
            yield "row", number, row
        return
    if path.lower().endswith(PARQUET_ENDINGS):
        raise BrokenFileError(f"found {head!r} at its start; expected a Parquet file")
    parts = plain_parts(stream) if only is None else only.parts(stream)
    for number, found in json_rows(parts, report, before=only.before if only else 0):
        if found is not None:
            yield "line", number, found
