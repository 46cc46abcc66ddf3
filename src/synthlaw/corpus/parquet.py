"""Documents as Parquet files that are written batch by batch, whatever their fields hold.

Between stages a document's fields travel as one JSON text, so that every batch has the same
columns. In the end every field gets a column of its own; its type is the one that all values of
the corpus share, or JSON text where they share none.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

BATCH_DOCUMENTS = 1024
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
        if len(self._rows) >= BATCH_DOCUMENTS or self._bytes >= _BATCH_BYTES:
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


def join_tables(parts: Sequence[Path], path: Path) -> None:
    """One file of all parts' rows, row group by row group; without parts, a file of no document."""
    nothing = pa.schema([("id", pa.string()), ("text", pa.string())])
    schema = pq.read_schema(parts[0]) if parts else nothing
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for part in parts:
            with pq.ParquetFile(part) as file:
                for group in range(file.num_row_groups):
                    writer.write_table(file.read_row_group(group))


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
