"""Rows of Parquet files as plain Python values, whatever types their columns have.

Arrow holds values that Python has no form for: years beyond 9999, zones that do not exist, bytes
that are no UTF-8, structs with two fields of one name. Dates, times, durations and decimals become
text in Arrow, before they become Python's; the rest is taken apart type by type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synthlaw.corpus.readers.input_file import BrokenFileError, ReadReport

_BATCH_ROWS = 1024
_BATCH_BYTES = 1 << 25
_DEEPEST = 64
_ERRORS = (
    *(pa.ArrowException, OSError, MemoryError),
    *(ValueError, KeyError, IndexError, TypeError, OverflowError, RecursionError),
)


def table_rows(
    stream: BinaryIO,
    report: ReadReport,
    needed: tuple[str, ...] = ("id", "text"),
    *,
    groups: range | None = None,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a Parquet file with their numbers from 1; memory is one batch.

    needed: columns that make a row; where only others of a row group cannot be read, it is read
    without them. What cannot be read at all costs its row group and is counted. Text of these
    columns that is no UTF-8 is given as bytes. Raises BrokenFileError for what is no Parquet file,
    or has a needed column twice. groups: row groups that are read; all by default.
    """
    try:
        file = pq.ParquetFile(
            stream, thrift_string_size_limit=1 << 26, thrift_container_size_limit=1 << 20
        )
        names = file.schema_arrow.names
        found = [file.metadata.row_group(n) for n in range(file.num_row_groups)]
    except _ERRORS as error:
        raise BrokenFileError(f"not a readable Parquet file ({_said(error)})") from None
    for name in needed:
        if names.count(name) > 1:
            raise BrokenFileError(f"found two columns '{name}'; expected one")
    least = [name for name in needed if name in names]
    before = 0
    for place, group in enumerate(found):
        rows = max(0, group.num_rows)
        if groups is not None and place not in groups:
            before += rows
            continue
        size = max(1, min(_BATCH_ROWS, _BATCH_BYTES * rows // max(1, group.total_byte_size)))
        batches = _Group(file, place, size, least)
        for offset, row in batches.rows():
            yield before + offset + 1, row
        if batches.narrowed:
            report.skip("row group of which only id and text can be read")
        if batches.failure:
            left = rows - batches.done
            report.bad_record(
                "row",
                before + batches.done + 1,
                f"{left} rows from here on cannot be read ({batches.failure})",
            )
        before += rows


class _Group:
    """The rows of one row group: all columns if they can be read, else the least."""

    def __init__(self, file: pq.ParquetFile, place: int, size: int, least: list[str]) -> None:
        self._file, self._place, self._size, self._least = file, place, size, least
        self.done = 0
        self.narrowed = False
        self.failure: str | None = None

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Rows with their places in the group; `failure` says afterwards why there are no more."""
        for columns in (None, self._least):
            self.failure = None
            self.narrowed = columns is not None
            try:
                yield from self._read(columns)
            except _ERRORS as error:
                self.failure = _said(error)
            if self.failure is None or not self._least:
                return

    def _read(self, columns: list[str] | None) -> Iterator[tuple[int, dict[str, Any]]]:
        place = 0
        for batch in self._file.iter_batches(
            batch_size=self._size, row_groups=[self._place], columns=columns, use_threads=False
        ):
            skipped = max(0, self.done - place)
            for row in rows_of(batch.slice(min(skipped, batch.num_rows)), self._least):
                yield self.done, row
                self.done += 1
            place += batch.num_rows


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0][:200]


def rows_of(batch: pa.RecordBatch, raw: list[str]) -> Iterator[dict[str, Any]]:
    """The rows of a batch. raw: columns whose broken text is given as bytes."""
    columns = [
        values_of(batch.column(n), keep_bytes=name in raw)
        for n, name in enumerate(batch.schema.names)
    ]
    names = unique_names(batch.schema.names)
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


def unique_names(names: list[str]) -> list[str]:
    """The names, with `~1`, `~2`, … behind those that were there before."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, -1) + 1
        found.append(f"{name}~{seen[name]}" if seen[name] else name)
    return found


def values_of(array: Any, *, keep_bytes: bool = False) -> list[Any]:
    """Python values of an Arrow array; None for a value that has no form at all."""
    try:
        return _values(array, keep_bytes, 0)
    except _ERRORS:
        return [_alone(array, place, keep_bytes) for place in range(len(array))]


def _alone(array: Any, place: int, keep_bytes: bool) -> Any:
    """One value by itself, so that it costs no other."""
    try:
        return _values(array.slice(place, 1), keep_bytes, 0)[0]
    except _ERRORS:
        return None


def _values(array: Any, keep_bytes: bool, depth: int) -> list[Any]:
    kind = array.type
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(array, pa.ExtensionArray):
        return _values(array.storage, keep_bytes, depth + 1)
    if pa.types.is_dictionary(kind):
        words = _values(array.dictionary, keep_bytes, depth + 1)
        return [None if at is None else words[at] for at in array.indices.to_pylist()]
    for holds, convert in _CONVERSIONS:
        if holds(kind):
            return convert(array, keep_bytes, depth)
    return list(array.to_pylist())


def _texts(array: Any, keep_bytes: bool, depth: int) -> list[Any]:
    try:
        return list(array.to_pylist())
    except UnicodeDecodeError:
        return [_text(value, keep_bytes) for value in array.cast(pa.large_binary()).to_pylist()]


def _text(value: bytes | None, keep_bytes: bool) -> str | bytes | None:
    if value is None:
        return None
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value if keep_bytes else value.decode("utf-8", "replace")


def _times(array: Any, keep_bytes: bool, depth: int) -> list[Any]:
    """Dates and times in ISO 8601; None where Arrow itself knows no date for the value."""
    zone = ""
    if pa.types.is_timestamp(array.type) and array.type.tz is not None:
        # The instant is in UTC, whatever zone it is shown in, and the zone may not exist.
        array, zone = array.cast(pa.timestamp(array.type.unit)), "+00:00"
    return [
        None if text is None or text.startswith("<") else text.replace(" ", "T") + zone
        for text in array.cast(pa.string()).to_pylist()
    ]


def _durations(array: Any, keep_bytes: bool, depth: int) -> list[Any]:
    counts = array.cast(pa.int64()).to_pylist()
    return [None if count is None else f"{count} {array.type.unit}" for count in counts]


def _decimals(array: Any, keep_bytes: bool, depth: int) -> list[Any]:
    return list(array.cast(pa.string()).to_pylist())


def _lists(array: Any, keep_bytes: bool, depth: int) -> list[Any]:
    if pa.types.is_fixed_size_list(array.type):
        array = array.cast(pa.large_list(array.type.value_field))
    return _cut(array, _values(array.values, False, depth + 1))


def _views(array: Any, keep_bytes: bool, depth: int) -> list[Any]:
    inner = _values(array.values, False, depth + 1)
    places = zip(
        array.offsets.to_pylist(),
        array.sizes.to_pylist(),
        array.is_valid().to_pylist(),
        strict=True,
    )
    return [inner[start : start + size] if known else None for start, size, known in places]


def _maps(array: Any, keep_bytes: bool, depth: int) -> list[Any]:
    """Maps as lists of pairs: their keys are no fields, and may stand twice."""
    keys = _values(array.keys, False, depth + 1)
    items = _values(array.items, False, depth + 1)
    return _cut(array, [[key, item] for key, item in zip(keys, items, strict=True)])


def _cut(array: Any, inner: list[Any]) -> list[Any]:
    bounds = array.offsets.to_pylist()
    valid = array.is_valid().to_pylist()
    return [
        inner[start:end] if known else None
        for start, end, known in zip(bounds[:-1], bounds[1:], valid, strict=True)
    ]


def _structs(array: Any, keep_bytes: bool, depth: int) -> list[Any]:
    names = unique_names([field.name for field in array.type.fields])
    columns = [_values(array.field(n), False, depth + 1) for n in range(len(names))]
    valid = array.is_valid().to_pylist()
    return [
        {name: column[place] for name, column in zip(names, columns, strict=True)}
        if known
        else None
        for place, known in enumerate(valid)
    ]


def _runs(array: Any, keep_bytes: bool, depth: int) -> list[Any]:
    return _values(pc.run_end_decode(array), keep_bytes, depth + 1)


def _texts_kind(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _times_kind(kind: pa.DataType) -> bool:
    return bool(pa.types.is_date(kind) or pa.types.is_time(kind) or pa.types.is_timestamp(kind))


_LIST_KINDS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
)
_VIEW_KINDS = (pa.types.is_list_view, pa.types.is_large_list_view)


def _lists_kind(kind: pa.DataType) -> bool:
    return any(holds(kind) for holds in _LIST_KINDS)


def _views_kind(kind: pa.DataType) -> bool:
    return any(holds(kind) for holds in _VIEW_KINDS)


_Conversion = Callable[[Any, bool, int], list[Any]]

_CONVERSIONS: tuple[tuple[Callable[[pa.DataType], bool], _Conversion], ...] = (
    (_texts_kind, _texts),
    (_times_kind, _times),
    (pa.types.is_duration, _durations),
    (pa.types.is_decimal, _decimals),
    (_lists_kind, _lists),
    (_views_kind, _views),
    (pa.types.is_map, _maps),
    (pa.types.is_struct, _structs),
    (pa.types.is_run_end_encoded, _runs),
)
