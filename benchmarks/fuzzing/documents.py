"""JSON lines and Parquet files: mutated bytes, and tables of generated types and values."""

from __future__ import annotations

import gzip
import json
import random
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fuzzing.mutation import mutated

TEXT = "The old bridge was built of stone and it is crossed by people of the town every day. " * 3
_WORDS = (
    b'"text":',
    b'"id":',
    b"[[[[",
    b'{"a":' * 500,
    b"1" * 5000,
    b"\\udc00",
    b"Infinity",
    b"-0",
)


_ODD = (
    *(None, True, 0, 7, 2**53 + 1, 2**63, -(2**70), 1.5, float("nan"), float("inf")),
    *("", "x", "\ud83d", "\0", "2024-05-01", TEXT),
)


def _value(rng: random.Random, depth: int = 0) -> Any:
    """A JSON value, odd ones included."""
    kind = rng.randrange(10 if depth < 4 else 8)
    if kind == 8:
        return [_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 9:
        return {_key(rng): _value(rng, depth + 1) for _ in range(rng.randrange(4))}
    return rng.choice(_ODD)


def _key(rng: random.Random) -> str:
    return rng.choice(("a", "b", "", "text", "id", "language", "k\udc00", "rps_doc_word_count"))


def _row(rng: random.Random, number: int) -> dict[str, Any]:
    row: dict[str, Any] = {"id": number, "text": TEXT + str(number)}
    for _ in range(rng.randrange(4)):
        row[_key(rng)] = _value(rng)
    return row


class _Documents:
    """Files that are read by the whole `prepare`, so that what is read can also be written."""

    ending = ""

    def read(self, given: bytes) -> str:
        """Prepare the file."""
        from synthlaw.corpus.pipeline import Source, make_corpus
        from synthlaw.corpus.readers.sources import find_input_files
        from synthlaw.corpus.settings import Settings
        from synthlaw.execute.inline import InlineExecutor

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"x{self.ending}"
            path.write_bytes(given)
            sources = [Source(find_input_files(str(path), Path(folder)))]
            settings = Settings(dedup=("exact",))
            counts = make_corpus(sources, settings, Path(folder) / "out", InlineExecutor())
        spoiled = counts["bad_records"] or counts["broken_files"]
        return f"prepared, {'some' if spoiled else 'none'} bad"


class _Lines(_Documents):
    ending = ".jsonl"

    def make(self, rng: random.Random) -> bytes:
        """A few rows of odd values, mutated or packed or neither."""
        rows = [json.dumps(_row(rng, n)) for n in range(rng.randrange(1, 5))]
        data = rng.choice(("\n", "\r\n", "\n\n")).join(rows).encode()
        if rng.random() < 0.1:
            data = rng.choice(
                (json.dumps([json.loads(row) for row in rows]).encode(), b"\xef\xbb\xbf" + data)
            )
        if rng.random() < 0.6:
            data = mutated(data, rng, _WORDS)
        if rng.random() < 0.2:
            data = gzip.compress(data, mtime=0)
            data = mutated(data, rng) if rng.random() < 0.5 else data
        return data


_SCALARS: tuple[pa.DataType, ...] = (
    *(pa.null(), pa.bool_(), pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.float64()),
    *(pa.date32(), pa.date64(), pa.time32("s"), pa.time64("ns"), pa.timestamp("us")),
    *(pa.timestamp("s", "Mars/Base"), pa.timestamp("ns", "+01:00"), pa.duration("s")),
    *(pa.decimal128(9, 2), pa.decimal256(60, 3), pa.string(), pa.large_string(), pa.string_view()),
    *(pa.binary(), pa.large_binary(), pa.binary(4), pa.binary_view()),
)


def _type(rng: random.Random, depth: int = 0) -> pa.DataType:
    if depth > 3 or rng.random() < 0.7:
        return rng.choice(_SCALARS)
    inner = _type(rng, depth + 1)
    return rng.choice(
        (
            pa.list_(inner),
            pa.large_list(inner),
            pa.list_(inner, 2),
            pa.map_(pa.string(), inner),
            pa.struct([("a", inner), ("b", pa.int64())]),
            pa.dictionary(pa.int32(), pa.string()),
        )
    )


def _array(  # noqa: PLR0911  one return for each kind
    kind: pa.DataType, count: int, rng: random.Random
) -> pa.Array:
    """An array of random bits: values that Python has no form for among them."""
    if pa.types.is_null(kind):
        return pa.nulls(count)
    if pa.types.is_dictionary(kind):
        return _array(pa.string(), count, rng).dictionary_encode()
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(_array(kind.value_type, count * 2, rng), 2)
    if pa.types.is_map(kind):
        offsets = pa.array(range(count + 1), pa.int32())
        keys = pa.array([f"k{n % 2}" for n in range(count)])
        return pa.MapArray.from_arrays(offsets, keys, _array(kind.item_type, count, rng))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        large = pa.types.is_large_list(kind)
        offsets = pa.array(range(count + 1), pa.int64() if large else pa.int32())
        made = pa.LargeListArray if large else pa.ListArray
        return made.from_arrays(offsets, _array(kind.value_type, count, rng))
    if pa.types.is_struct(kind):
        parts = [_array(field.type, count, rng) for field in kind.fields]
        names = rng.choice((["a", "b"], ["a", "a"]))
        return pa.StructArray.from_arrays(parts, names=names)
    if pa.types.is_string(kind):
        offsets = pa.array(range(0, 4 * count + 1, 4), pa.int32()).buffers()[1]
        return pa.StringArray.from_buffers(count, offsets, pa.py_buffer(rng.randbytes(4 * count)))
    if kind in (
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.binary_view(),
    ):
        return pa.array(["é", None] * count, pa.string())[:count].cast(kind)
    if pa.types.is_decimal(kind):
        return pa.array(range(count), pa.int8()).cast(kind)
    width = max(1, kind.bit_width // 8) * count
    return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(rng.randbytes(width))])


def _written(columns: dict[str, pa.Array], rng: random.Random) -> bytes:
    sink = pa.BufferOutputStream()
    packing = rng.choice(("none", "snappy"))
    pq.write_table(pa.table(columns), sink, row_group_size=2, compression=packing)
    return bytes(sink.getvalue().to_pybytes())


class _Tables(_Documents):
    ending = ".parquet"

    def make(self, rng: random.Random) -> bytes:
        """A table of random types and bits, its bytes mutated or not."""
        count = rng.randrange(1, 5)
        columns: dict[str, pa.Array] = {
            "id": pa.array([f"d{n}" for n in range(count)]),
            "text": pa.array([TEXT + str(n) for n in range(count)]),
        }
        for name in rng.sample(("x", "y", "language", "id", "text"), rng.randrange(3)):
            columns[name] = _array(_type(rng), count, rng)
        try:
            data = _written(columns, rng)
        except (pa.ArrowException, ValueError, OSError):  # a type that Parquet has no form for
            data = _written({"text": pa.array([TEXT] * count)}, rng)
        if rng.random() < 0.7:
            cut = rng.choice((0, len(data) // 2, max(0, len(data) - 900)))
            data = data[:cut] + mutated(data[cut:], rng)
        return data


TARGETS = {"jsonl": _Lines(), "parquet": _Tables()}
