"""The document: the artifact that the corpus and generate rooms hand on.

Parquet (zstd) or JSONL (plain, .gz, .zst) with `id` and `text`; every other column is kept in
`fields`. A datatrove document (its `metadata` and `media`) passes through without loss. Many
documents are a dataset of such files (common/parts.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synthlaw.common.files import atomic_path
from synthlaw.common.parts import Dataset, Numbers
from synthlaw.corpus.parquet import write_parquet
from synthlaw.corpus.readers.document import Document, document_from_row
from synthlaw.corpus.readers.document_files import (
    DOCUMENTS_FOLDER,
    JSONL_ENDINGS,
    PARQUET_ENDINGS,
    read_documents,
)
from synthlaw.corpus.readers.values import json_text

__all__ = [
    "DOCUMENTS_FOLDER",
    "JSONL_ENDINGS",
    "PARQUET_ENDINGS",
    "Document",
    "document_from_row",
    "documents_at",
    "permuted_documents",
    "read_dataset",
    "read_documents",
    "write_documents",
]


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
            # Threads cost more than they save on so little.
            table = file.read_row_group(number, use_threads=False)
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
