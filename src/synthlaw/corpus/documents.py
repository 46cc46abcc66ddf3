"""The document: the artifact that the corpus and generate rooms hand on.

Parquet (zstd) or JSONL (plain, .gz, .zst) with `id` and `text`; every other column is kept in
`fields`. A datatrove document (its `metadata` and `media`) passes through without loss. Many
documents are a dataset of such files (common/parts.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
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

JSONL_ENDINGS = tuple(
    kind + packed for kind in (".jsonl", ".json", ".ndjson") for packed in ("", ".gz", ".zst")
)
PARQUET_ENDINGS = (".parquet",)


@dataclass(frozen=True)
class Document:
    """A text with its identity; `fields` holds every further column as read."""

    id: str
    text: str
    fields: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """The document as one flat row, id and text first."""
        return {"id": self.id, "text": self.text, **self.fields}


def document_from_row(row: dict[str, Any], place: str) -> Document:
    """A row as a document. Raises UsageError, naming `place`, when id or text is unusable."""
    text = row.get("text")
    if not isinstance(text, str):
        found = "no 'text'" if "text" not in row else f"'text' of type {type(text).__name__}"
        raise UsageError(f"{place}: found {found}; expected a string column 'text'")
    # Lone surrogates come in through JSON escapes and no file can hold them as UTF-8.
    clean = text.encode("utf-8", "replace").decode("utf-8")
    identity = row.get("id")
    # The file's name and line, not its folder: a corpus that is moved keeps its identities.
    name = str(identity) if identity is not None else Path(place).name
    name = name.encode("utf-8", "replace").decode("utf-8")
    return Document(name, clean, {k: v for k, v in row.items() if k not in ("id", "text")})


def read_documents(
    path: Path | str, on_read: Callable[[int], object] | None = None
) -> Iterator[Document]:
    """Documents of one JSONL or Parquet file (local or a URL), in its order; memory is one batch.

    on_read: told of every number of bytes that is read.
    Raises UsageError naming the file and line for anything that is not a document.
    """
    place = str(path)
    name = place.lower()
    if name.endswith(PARQUET_ENDINGS):
        yield from _read_parquet(place, on_read)
    elif name.endswith(JSONL_ENDINGS):
        for row, line in json_rows(open_binary(place, on_read), place):
            yield document_from_row(row, line)
    else:
        raise UsageError(
            f"{place}: found the ending '{Path(place).suffix}'; expected one of "
            f"{', '.join(JSONL_ENDINGS + PARQUET_ENDINGS)}"
        )


def _read_parquet(place: str, on_read: Callable[[int], object] | None) -> Iterator[Document]:
    with open_binary(place, on_read) as stream:
        try:
            file = pq.ParquetFile(stream)
        except (pa.ArrowInvalid, OSError) as error:
            raise UsageError(f"{place}: not a readable Parquet file ({error})") from error
        number = 0
        try:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield document_from_row(row, f"{place}:row {number}")
        except (pa.ArrowInvalid, OSError) as error:
            raise UsageError(f"{place}: broken behind row {number} ({error})") from error


def json_rows(stream: BinaryIO, name: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Objects of a JSONL stream (plain, .gz, .zst by `name`), each with its place for errors.

    Raises UsageError naming the line of what is no object, and for a stream that ends early.
    """
    try:
        with stream, unpacked(stream, name) as plain:
            pending = b""
            number = 0
            while block := plain.read(1 << 20):
                *lines, pending = (pending + block).split(b"\n")
                for line in lines:
                    number += 1
                    yield from _parse_line(line, f"{name}:{number}")
            yield from _parse_line(pending, f"{name}:{number + 1}")
    except OSError as error:
        raise UsageError(f"{name}: cannot be read to its end ({error})") from error


def unpacked(stream: BinaryIO, name: str) -> pa.NativeFile:
    """The stream decompressed by the ending of `name`."""
    source = pa.PythonFile(stream, "r")
    for ending, codec in ((".gz", "gzip"), (".zst", "zstd")):
        if name.lower().endswith(ending):
            return pa.CompressedInputStream(source, codec)
    return source


def _parse_line(line: bytes, place: str) -> Iterator[tuple[dict[str, Any], str]]:
    if not line.strip():
        return
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UsageError(f"{place}: not JSON ({error})") from error
    if not isinstance(row, dict):
        raise UsageError(f"{place}: found a JSON {type(row).__name__}; expected an object")
    yield row, place


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
    from synthlaw.corpus.parquet import write_parquet

    with atomic_path(path) as aside:
        if path.name.endswith(PARQUET_ENDINGS):
            return write_parquet(aside, ((d.id, d.text, d.fields) for d in documents))
        count = 0
        compression = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
        with pa.output_stream(str(aside), compression=compression) as stream:
            for document in documents:
                stream.write(json.dumps(document.row(), ensure_ascii=False).encode() + b"\n")
                count += 1
    return count
