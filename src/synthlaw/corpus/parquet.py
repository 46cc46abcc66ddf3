"""Documents as Parquet files that are written batch by batch, whatever their fields hold.

Between stages a document's fields travel as one JSON text, so that every batch has the same
columns. In the end every field gets a column of its own; its type is the one that all values of
the corpus share, or JSON text where they share none.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from synthlaw.common import parts
from synthlaw.common.parts import Part

BATCH_DOCUMENTS = 1024
"""Documents that are read at once."""

GROUP_DOCUMENTS = 256
"""Documents of a row group, which is what reading a single document of a part costs."""

_BATCH_BYTES = 1 << 25

JSON = "json"
"""The mark of a field whose values have no common type."""


class TableWriter:
    """Writes rows with fixed columns to one Parquet file, in row groups of bounded size."""

    def __init__(self, path: Path, schema: pa.Schema, level: int = 3) -> None:
        self._writer = pq.ParquetWriter(
            path, schema, compression="zstd", compression_level=level, write_statistics=["id"]
        )
        self._schema = schema
        self._rows: list[Mapping[str, Any]] = []
        self._bytes = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Add one row; missing columns are null."""
        self._rows.append(row)
        self._bytes += len(row["text"])
        if len(self._rows) >= GROUP_DOCUMENTS or self._bytes >= _BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            columns = [
                pa.array([row.get(f.name) for row in self._rows], f.type) for f in self._schema
            ]
            self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))
        self._rows, self._bytes = [], 0

    def close(self) -> None:
        """Write what is left; the file is whole afterwards."""
        self._flush()
        self._writer.close()


class PartWriter:
    """Writes rows to Parquet files of bounded size, `folder`/`prefix`-000.parquet and so on.

    The files lie in a folder that takes its name when all is written, so they are not written
    aside. Borders depend on the rows alone. most: bytes of text of a part. on_part: told the
    number of every finished part.
    """

    def __init__(
        self,
        folder: Path,
        prefix: str,
        schema: pa.Schema,
        *,
        level: int = 3,
        most: int = parts.PART_BYTES,
        on_part: Callable[[int], object] = lambda number: None,
    ) -> None:
        self._folder, self._prefix = folder, prefix
        self._schema, self._level, self._most = schema, level, most
        self._on_part = on_part
        self._writer: TableWriter | None = None
        self._documents = self._bytes = 0
        self.parts: list[Part] = []

    def add(self, row: Mapping[str, Any]) -> None:
        """Add one row, in a new part when the one at hand has all that it may hold."""
        self.make_room(row["text"])
        if self._writer is None:
            self._writer = TableWriter(self.path, self._schema, self._level)
        self._writer.add(row)
        self._documents += 1
        self._bytes += len(row["text"].encode())

    def make_room(self, text: str) -> None:
        """Finish the part at hand when it cannot hold `text` too."""
        size = self._bytes + len(text.encode())
        if self._documents and (size > self._most or self._documents >= parts.PART_DOCUMENTS):
            self.close()

    @property
    def path(self) -> Path:
        """The file that is written, or comes next."""
        return self._folder / f"{self._prefix}-{len(self.parts):03d}.parquet"

    def close(self) -> list[Part]:
        """Finish the part at hand; returns all parts so far."""
        if self._writer is not None:
            self._writer.close()
            self.parts.append(parts.describe(self.path, self._documents, self._bytes))
            self._on_part(len(self.parts) - 1)
        self._writer, self._documents, self._bytes = None, 0, 0
        return self.parts


BETWEEN = pa.schema([("id", pa.string()), ("text", pa.string()), ("fields", pa.string())])
"""Columns of documents between stages."""


def write_parquet(path: Path, documents: Iterable[tuple[str, str, Mapping[str, Any]]]) -> int:
    """Write (id, text, fields) of each document, types learnt from all; returns how many.

    They are written twice, the first time beside `path`, so that memory is one batch.
    """
    types, count = FieldTypes(), 0
    between = path.with_name(f"{path.name}.between")
    writer = TableWriter(between, BETWEEN, level=1)
    try:
        for identity, text, fields in documents:
            types.add(fields)
            writer.add({"id": identity, "text": text, "fields": pack(fields)})
            count += 1
        writer.close()
        final = TableWriter(path, types.schema([]))
        for row in read_rows(between):
            fields = types.row(json.loads(row["fields"]))
            final.add({"id": row["id"], "text": row["text"], **fields})
        final.close()
    finally:
        between.unlink(missing_ok=True)
    return count


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a file that a TableWriter wrote; memory is one batch."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=BATCH_DOCUMENTS):
            yield from batch.to_pylist()


def pack(fields: Mapping[str, Any]) -> str:
    """Fields as JSON text; what JSON has no form for (a date, bytes) becomes text."""
    text = json.dumps(fields, ensure_ascii=False, default=_plain)
    # Lone surrogates come in through JSON escapes and no file can hold them as UTF-8.
    return text.encode("utf-8", "replace").decode("utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


class FieldTypes:
    """The type of every field, learnt batch by batch."""

    def __init__(self) -> None:
        self.types: dict[str, pa.DataType | str] = {}
        self._waiting: list[Mapping[str, Any]] = []

    def add(self, fields: Mapping[str, Any]) -> None:
        """Learn from one document's fields."""
        self._waiting.append(fields)
        if len(self._waiting) >= BATCH_DOCUMENTS:
            self._learn()

    def _learn(self) -> None:
        names = dict.fromkeys(name for fields in self._waiting for name in fields)
        for name in names:
            self._merge(name, _type_of([fields.get(name) for fields in self._waiting]))
        self._waiting = []

    def _merge(self, name: str, found: pa.DataType | str) -> None:
        known = self.types.get(name, pa.null())
        self.types[name] = _common(known, found)

    def merge(self, other: FieldTypes) -> None:
        """Learn what another has learnt."""
        other._learn()
        for name, found in other.types.items():
            self._merge(name, found)

    def as_json(self) -> dict[str, str]:
        """The types as text, for `from_json`."""
        self._learn()
        return {
            name: kind
            if isinstance(kind, str)
            else base64.b64encode(pa.schema([pa.field("x", kind)]).serialize().to_pybytes()).decode(
                "ascii"
            )
            for name, kind in self.types.items()
        }

    @classmethod
    def from_json(cls, value: Mapping[str, str]) -> FieldTypes:
        """The types that `as_json` gave."""
        found = cls()
        for name, text in value.items():
            found.types[name] = (
                text
                if text == JSON
                else pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text))).field("x").type
            )
        return found

    def schema(self, annotations: Iterable[tuple[str, pa.DataType]]) -> pa.Schema:
        """Columns of the finished documents: id, text, the fields, the annotations."""
        self._learn()
        columns = {"id": pa.string(), "text": pa.string()}
        for name, kind in self.types.items():
            columns[name] = pa.string() if kind == JSON or pa.types.is_null(kind) else kind
        return pa.schema([*(columns | dict(annotations)).items()])

    def row(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields as values of their columns."""
        return {
            name: json.dumps(value, ensure_ascii=False)
            if value is not None and self.types[name] == JSON
            else value
            for name, value in fields.items()
        }


def _type_of(values: list[Any]) -> pa.DataType | str:
    try:
        kind = pa.array(values).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return JSON
    return JSON if _holds_nothing(kind) else kind


def _holds_nothing(kind: pa.DataType) -> bool:
    """Whether a mapping without keys is in it, for which Parquet has no form."""
    if pa.types.is_struct(kind):
        return kind.num_fields == 0 or any(_holds_nothing(f.type) for f in kind.fields)
    return pa.types.is_list(kind) and _holds_nothing(kind.value_type)


def _common(one: pa.DataType | str, other: pa.DataType | str) -> pa.DataType | str:
    if isinstance(one, str) or isinstance(other, str):
        return JSON
    try:
        schemas = [pa.schema([pa.field("x", kind)]) for kind in (one, other)]
        return pa.unify_schemas(schemas, promote_options="permissive").field("x").type
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return JSON
