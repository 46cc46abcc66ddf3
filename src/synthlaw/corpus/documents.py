"""The document: the artifact that the corpus and generate rooms hand on.

Parquet (zstd) or JSONL (plain, .gz, .zst) with `id` and `text`; every other column is kept in
`fields`. A datatrove document (its `metadata` and `media`) passes through without loss. Many
documents are a dataset of such files (common/parts.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synthlaw.common.errors import UsageError
from synthlaw.common.files import atomic_path
from synthlaw.common.parts import Dataset, Numbers
from synthlaw.common.streams import open_binary
from synthlaw.corpus.parquet import write_parquet
from synthlaw.corpus.readers.input_file import BadDocumentError, BrokenFileError, ReadReport
from synthlaw.corpus.readers.jsonl import json_rows
from synthlaw.corpus.readers.table import table_rows
from synthlaw.corpus.readers.unpack import plain_parts
from synthlaw.corpus.readers.values import clean, json_text, plain_fields

DOCUMENTS_FOLDER = "documents"
"""Inside what `prepare` or `generate` filled: its documents."""

JSONL_ENDINGS = tuple(
    kind + packed for kind in (".jsonl", ".json", ".ndjson") for packed in ("", ".gz", ".zst")
)
PARQUET_ENDINGS = (".parquet",)
_PARQUET_MAGIC = b"PAR1"

LONGEST_TEXT = 1 << 28
"""Longest text in characters that is taken as a document."""


@dataclass(frozen=True)
class Document:
    """A text with its identity; `fields` holds every further column as JSON values."""

    id: str
    text: str
    fields: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """The document as one flat row, id and text first."""
        return {"id": self.id, "text": self.text, **self.fields}


def document_from_row(row: dict[str, Any], place: str) -> Document:
    """A row as a document; `place` is its identity if it has none of its own.

    Raises BadDocumentError when its text is unusable.
    """
    others = {name: value for name, value in row.items() if name not in ("id", "text")}
    return Document(_identity(row.get("id")) or clean(place), _text(row), plain_fields(others))


def _text(row: dict[str, Any]) -> str:
    text = row.get("text")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError:
            raise BadDocumentError("'text' is not UTF-8") from None
    if not isinstance(text, str):
        if "text" not in row:
            names = ", ".join(f"'{clean(str(name))[:40]}'" for name in list(row)[:10])
            raise BadDocumentError(
                f"found no 'text' but {names or 'nothing'}; expected a string column 'text'"
            )
        found = "null" if text is None else f"of type {type(text).__name__}"
        raise BadDocumentError(f"found 'text' {found}; expected a string column 'text'")
    if len(text) > LONGEST_TEXT:
        raise BadDocumentError(f"'text' is longer than {LONGEST_TEXT} characters")
    return clean(text)


def _identity(value: Any) -> str | None:
    """An identity as text; None where the value cannot be one."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8") or None
        except UnicodeDecodeError:
            return value.hex()
    if isinstance(value, str):
        return clean(value) or None
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return None
    return str(value)


def read_documents(path: Path | str, report: ReadReport | None = None) -> Iterator[Document]:
    """Documents of one JSONL or Parquet file (local or a URL), in its order; memory is one batch.

    report: takes what is no document; without one, that raises UsageError naming file and line.
    Raises UsageError for an ending that is none of ours, BrokenFileError for a file that cannot be
    read on.
    """
    place = str(path)
    known = (*JSONL_ENDINGS, *PARQUET_ENDINGS)
    if not place.lower().endswith(known):
        raise UsageError(
            f"{place}: found the ending '{Path(place).suffix}'; expected one of {', '.join(known)}"
        )
    report = ReadReport(strict=True) if report is None else report
    report.path = place
    try:
        yield from labelled_documents(place, Path(place).name, report)
    except BrokenFileError as error:
        raise UsageError(f"{place}: {error}") from None


def labelled_documents(path: str, label: str, report: ReadReport) -> Iterator[Document]:
    """Documents of one file; those without an identity are named `label:line`."""
    with open_binary(path, report.on_read) as stream:
        for unit, number, row in _rows(stream, path, report):
            place = f"{label}:{number}" if unit == "line" else f"{label}:{unit} {number}"
            try:
                document = document_from_row(row, place)
            except BadDocumentError as error:
                report.bad_record(unit, number, str(error))
                continue
            yield document


def _rows(
    stream: BinaryIO, path: str, report: ReadReport
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Rows with their unit and number; the first bytes say whether the file is Parquet."""
    head = stream.read(4)
    stream.seek(0)
    if head == _PARQUET_MAGIC:
        for number, row in table_rows(stream, report):
            yield "row", number, row
        return
    if path.lower().endswith(PARQUET_ENDINGS):
        raise BrokenFileError(f"found {head!r} at its start; expected a Parquet file")
    for number, found in json_rows(plain_parts(stream), report):
        if found is not None:
            yield "line", number, found


def read_dataset(dataset: Dataset) -> Iterator[Document]:
    """All documents of a dataset in order; memory is one batch."""
    for path in dataset.paths:
        yield from read_documents(path)


PERMUTED_BYTES = 1 << 25
"""Text that `permuted_documents` fetches at once."""

_PERMUTED_DOCUMENTS = 1 << 13


def permuted_documents(
    dataset: Dataset, seed: int, start: int = 0, stop: int | None = None
) -> Iterator[Document]:
    """The documents at places `start` to `stop` of a seeded order of the whole dataset.

    Nothing is sorted: the order is a permutation that is worked out where it is asked for. Memory
    is some 32 MB of text. A document costs at most one row group of its part, less where many of
    a batch share one.
    """
    stop = dataset.documents if stop is None else min(stop, dataset.documents)
    mean = max(1, dataset.text_bytes // max(1, dataset.documents))
    step = max(1, min(_PERMUTED_DOCUMENTS, PERMUTED_BYTES // mean))
    order = dataset.order(seed)
    for first in range(start, stop, step):
        yield from documents_at(dataset, order(np.arange(first, min(first + step, stop))))


def documents_at(dataset: Dataset, numbers: Numbers) -> list[Document]:
    """The documents in the rows `numbers`, in that order; memory is these and one batch."""
    parts, rows = dataset.locate(numbers)
    found: dict[int, Document] = {}
    for part in np.unique(parts).tolist():
        places = np.flatnonzero(parts == part)
        places = places[np.argsort(rows[places], kind="stable")]
        wanted = _rows_of(dataset.paths[part], rows[places])
        found.update(zip(places.tolist(), wanted, strict=True))
    return [found[place] for place in range(len(numbers))]


def _rows_of(path: Path, rows: Numbers) -> Iterator[Document]:
    """Documents of one file by row, ascending."""
    if not path.name.endswith(PARQUET_ENDINGS):
        wanted = iter(rows.tolist())
        row = next(wanted, None)
        for number, document in enumerate(read_documents(path)):
            while row == number:
                yield document
                row = next(wanted, None)
            if row is None:
                return
        return
    with pq.ParquetFile(path) as file:
        sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
        starts = np.cumsum([0, *sizes])
        groups = np.searchsorted(starts, rows, side="right") - 1
        for number in np.unique(groups).tolist():
            table = file.read_row_group(number)
            here = rows[groups == number] - starts[number]
            for row in table.take(pa.array(here)).to_pylist():
                yield document_from_row(row, str(path))


def write_documents(path: Path, documents: Iterable[Document]) -> int:
    """Write documents atomically as Parquet (zstd) or JSONL by `path`'s ending; returns how many.

    The bytes depend on the documents alone; memory is one batch.
    """
    with atomic_path(path) as aside:
        if path.name.endswith(PARQUET_ENDINGS):
            return write_parquet(aside, ((d.id, d.text, d.fields) for d in documents))
        count = 0
        compression = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
        with pa.output_stream(str(aside), compression=compression) as stream:
            for document in documents:
                stream.write(json_text(document.row()).encode() + b"\n")
                count += 1
    return count
