"""Documents as Parquet files that are written batch by batch, whatever their fields hold.

Between stages a document's fields travel as one JSON text, so that every batch has the same
columns. In the end every field gets a column of its own; its type is the one that all values of
the corpus share, or JSON text where they share none. Types are learnt from JSON values alone, one
by one, so that what is learnt in any order of batches can always be written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from synthlaw.common import parts
from synthlaw.common.parts import Part
from synthlaw.corpus.readers.values import json_text

BATCH_DOCUMENTS = 1024
"""Documents that are read at once."""

GROUP_DOCUMENTS = 256
"""Documents of a row group, which is what reading a single document of a part costs."""

_BATCH_BYTES = 1 << 25

MOST_COLUMNS = 1000
"""Fields that get a column of their own; those found later share the column OTHER_FIELDS."""

OTHER_FIELDS = "other_fields"

_MOST_MEMBERS = 64
_DEEPEST = 8
_LARGEST_EXACT = 1 << 53

Kind = Any
"""The type of a field as JSON: a name, or {"list": Kind}, or {"struct": {name: Kind}}.

null < int < long < json, int < float < json; everything < json, which is JSON text. An int is one
that a float holds exactly, a long one that 64 bits hold.
"""


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
        self._bytes += sum(len(value) for value in row.values() if isinstance(value, str))
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
    """Fields, which are plain values, as JSON text."""
    return json.dumps(fields, ensure_ascii=False)


class FieldTypes:
    """The type of every field, learnt document by document."""

    def __init__(self) -> None:
        self.kinds: dict[str, Kind] = {}

    def add(self, fields: Mapping[str, Any]) -> None:
        """Learn from one document's fields."""
        for name, value in fields.items():
            known = self.kinds.get(name)
            if known is None:
                self.kinds[name] = _kind_of(value, 0)
            elif known != "json" and value is not None:
                found = _kind_of(value, 0)
                if found != known:
                    self.kinds[name] = _join(known, found)

    def merge(self, other: FieldTypes) -> None:
        """Learn what another has learnt."""
        for name, found in other.kinds.items():
            self.kinds[name] = _join(self.kinds.get(name, "null"), found)

    def as_json(self) -> dict[str, str]:
        """The types as text, for `from_json`."""
        return {name: json.dumps(kind) for name, kind in self.kinds.items()}

    @classmethod
    def from_json(cls, value: Mapping[str, str]) -> FieldTypes:
        """The types that `as_json` gave."""
        found = cls()
        found.kinds = {name: json.loads(text) for name, text in value.items()}
        return found

    def _columns(self) -> dict[str, Kind]:
        """The fields with a column of their own."""
        if len(self.kinds) <= MOST_COLUMNS:
            return self.kinds
        own = ((name, kind) for name, kind in self.kinds.items() if name != OTHER_FIELDS)
        return dict(islice(own, MOST_COLUMNS))

    def schema(self, annotations: Iterable[tuple[str, pa.DataType]]) -> pa.Schema:
        """Columns of the finished documents: id, text, the fields, the annotations."""
        columns = {"id": pa.string(), "text": pa.string()}
        columns |= {name: _arrow(kind) for name, kind in self._columns().items()}
        if len(self.kinds) > MOST_COLUMNS:
            columns[OTHER_FIELDS] = pa.string()
        return pa.schema([*(columns | dict(annotations)).items()])

    def row(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields as values of their columns."""
        own = self._columns()
        found: dict[str, Any] = {}
        others: dict[str, Any] = {}
        for name, value in fields.items():
            if name not in own:
                others[name] = value
            else:
                packed = value is not None and own[name] == "json"
                found[name] = json_text(value) if packed else value
        if others:
            found[OTHER_FIELDS] = json_text(others)
        return found


_PLAIN = {type(None): "null", bool: "bool", float: "float", str: "string"}
_ARROW = {
    "null": pa.string(),
    "bool": pa.bool_(),
    "int": pa.int64(),
    "long": pa.int64(),
    "float": pa.float64(),
    "string": pa.string(),
    "json": pa.string(),
}


def _kind_of(value: Any, depth: int) -> Kind:  # noqa: PLR0911  one return for each kind
    """The type of a plain value; JSON for what is too deep or has too many members."""
    kind = type(value)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind is int:
        if -_LARGEST_EXACT <= value <= _LARGEST_EXACT:
            return "int"
        return "long" if -(1 << 63) <= value < 1 << 63 else "json"
    if depth >= _DEEPEST:
        return "json"
    if kind is list:
        return _listed(value, depth)
    if not 0 < len(value) <= _MOST_MEMBERS:
        return "json"
    members = {name: _kind_of(item, depth + 1) for name, item in value.items()}
    return "json" if "json" in members.values() else {"struct": members}


def _listed(values: list[Any], depth: int) -> Kind:
    kinds = set(map(type, values))
    inner: Kind = "null"
    if kinds <= _PLAIN.keys():
        for kind in sorted(kinds, key=str):
            inner = _join(inner, _PLAIN[kind])
    else:
        for value in values:
            inner = _join(inner, _kind_of(value, depth + 1))
            if inner == "json":
                break
    return "json" if inner == "json" else {"list": inner}


_WIDER = {
    frozenset(("int", "float")): "float",
    frozenset(("int", "long")): "long",
}


def _join(one: Kind, other: Kind) -> Kind:
    """The narrowest type that holds the values of both."""
    if other in (one, "null"):
        return one
    if one == "null":
        return other
    if isinstance(one, str) and isinstance(other, str):
        return _WIDER.get(frozenset((one, other)), "json")
    if not (isinstance(one, dict) and isinstance(other, dict)) or one.keys() != other.keys():
        return "json"
    if "list" in one:
        inner = _join(one["list"], other["list"])
        return "json" if inner == "json" else {"list": inner}
    mine, theirs = one["struct"], other["struct"]
    members = {
        name: _join(mine.get(name, "null"), theirs.get(name, "null")) for name in {**mine, **theirs}
    }
    whole = len(members) <= _MOST_MEMBERS and "json" not in members.values()
    return {"struct": members} if whole else "json"


def _arrow(kind: Kind) -> pa.DataType:
    if isinstance(kind, str):
        return _ARROW[kind]
    if "list" in kind:
        return pa.list_(_arrow(kind["list"]))
    return pa.struct([(name, _arrow(member)) for name, member in kind["struct"].items()])
