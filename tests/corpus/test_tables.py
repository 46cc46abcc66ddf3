"""Parquet files of every type: a column that nobody asked for costs nothing, text is text."""

from __future__ import annotations

import datetime
import decimal
import json
import struct
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.corpus.documents import Document, document_from_row, write_documents
from synthlaw.corpus.parquet import FieldTypes, TableWriter, pack
from synthlaw.corpus.readers.input_file import InputFile, ReadReport
from synthlaw.corpus.readers.read import read_input
from synthlaw.corpus.readers.table import values_of

TEXT = "The old bridge was built of stone, and people of the town cross it every day of the year."


def raw_strings(kind: pa.DataType, parts: list[bytes]) -> pa.Array:
    """Strings whose bytes are no UTF-8."""
    bounds = [0]
    for part in parts:
        bounds.append(bounds[-1] + len(part))
    form = "q" if kind == pa.large_string() else "i"
    offsets = pa.py_buffer(struct.pack(f"{len(bounds)}{form}", *bounds))
    made = pa.LargeStringArray if form == "q" else pa.StringArray
    return made.from_buffers(len(parts), offsets, pa.py_buffer(b"".join(parts)))


VALUES: dict[str, tuple[pa.Array, list[Any]]] = {
    "date": (pa.array([19000], pa.date32()), ["2022-01-08"]),
    "date64": (pa.array([0], pa.date64()), ["1970-01-01"]),
    "date beyond": (pa.array([2**30], pa.date32()), [None]),
    "time": (pa.array([1], pa.time32("s")), ["00:00:01"]),
    "time64": (pa.array([1500], pa.time64("us")), ["00:00:00.001500"]),
    "timestamp": (pa.array([1714521600], pa.timestamp("s")), ["2024-05-01T00:00:00"]),
    "year 11103": (
        pa.array([2**58], pa.timestamp("us")),
        ["11103-08-29T17:22:31.711744"],
    ),
    "timestamp beyond": (pa.array([2**60], pa.timestamp("s")), [None]),
    "zone": (pa.array([0], pa.timestamp("s", "Europe/Zurich")), ["1970-01-01T00:00:00+00:00"]),
    "no such zone": (pa.array([1], pa.timestamp("s", "Mars/Base")), ["1970-01-01T00:00:01+00:00"]),
    "duration": (pa.array([2**60], pa.duration("s")), [f"{2**60} s"]),
    "decimal": (pa.array([decimal.Decimal("1.50")]), ["1.50"]),
    "decimal256": (pa.array([decimal.Decimal(10**60)], pa.decimal256(70, 2)), [f"{10**60}.00"]),
    "half": (pa.array([1.5], pa.float16()), [1.5]),
    "uint64": (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1]),
    "null": (pa.nulls(1), [None]),
    "binary": (pa.array([b"\xff"], pa.binary()), [b"\xff"]),
    "fixed binary": (pa.array([b"ab"], pa.binary(2)), [b"ab"]),
    "no UTF-8": (raw_strings(pa.string(), [b"a\xffb"]), ["a\ufffdb"]),
    "no UTF-8, large": (raw_strings(pa.large_string(), [b"a\xffb"]), ["a\ufffdb"]),
    "view": (pa.array(["é"], pa.string_view()), ["é"]),
    "dictionary": (pa.array(["a"]).dictionary_encode(), ["a"]),
    "dictionary of dates": (pa.array([2**30], pa.date32()).dictionary_encode(), [None]),
    "list": (pa.array([[datetime.date(2024, 5, 1), None]]), [["2024-05-01", None]]),
    "fixed list": (pa.array([[1, 2]], pa.list_(pa.int8(), 2)), [[1, 2]]),
    "list view": (pa.array([[1, 2]], pa.list_view(pa.int8())), [[1, 2]]),
    "map": (
        pa.array([[("k", 1), ("k", 2)]], pa.map_(pa.string(), pa.int8())),
        [[["k", 1], ["k", 2]]],
    ),
    "struct": (pa.array([{"a": decimal.Decimal("1.5")}]), [{"a": "1.5"}]),
    "twice": (
        pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]),
        [{"a": 1, "a~1": 2}],
    ),
    "runs": (pa.RunEndEncodedArray.from_arrays(pa.array([1]), pa.array(["x"])), ["x"]),
    "uuid": (pa.array([b"0123456789abcdef"], pa.uuid()), [b"0123456789abcdef"]),
}


@pytest.mark.parametrize("name", VALUES)
def test_every_type_has_plain_values(name: str) -> None:
    array, expected = VALUES[name]
    assert values_of(array) == expected
    assert values_of(pa.concat_arrays([array, array]).slice(1)) == expected
    nothing = pa.nulls(2, array.type)
    assert values_of(nothing) == [None, None]
    document = document_from_row({"text": TEXT, "x": expected[0]}, "p")
    json.dumps(document.fields, allow_nan=False)


def test_one_value_that_has_no_form_costs_no_other() -> None:
    kind = pa.struct([("a", pa.date32())])
    far = pa.array([{"a": 0}, None, {"a": 2**30}], kind)
    assert values_of(far) == [{"a": "1970-01-01"}, None, {"a": None}]


def read(path: Path, strict: bool = False) -> tuple[list[Document], ReadReport]:
    report = ReadReport(strict=strict)
    return list(read_input(InputFile("documents", str(path), ""), report)), report


@pytest.mark.parametrize(
    "text",
    [
        pa.array([TEXT, "two"], pa.large_string()),
        pa.array([TEXT, "two"], pa.string_view()),
        pa.array([TEXT, "two"]).dictionary_encode(),
        pa.array([TEXT.encode(), b"two"], pa.binary()),
        pa.array([TEXT.encode(), b"two"], pa.large_binary()),
    ],
    ids=lambda array: str(array.type)[:12],
)
def test_text_of_any_string_type_is_text(tmp_path: Path, text: pa.Array) -> None:
    pq.write_table(pa.table({"text": text}), tmp_path / "x.parquet")
    documents, report = read(tmp_path / "x.parquet")
    assert [d.text for d in documents] == [TEXT, "two"]
    assert [d.id for d in documents] == ["x.parquet:row 1", "x.parquet:row 2"]
    assert report.bad_count == 0


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (pa.array([7, 2**40]), ["7", str(2**40)]),
        (pa.array([b"a", b"\xff\x01"]), ["a", "ff01"]),
        (pa.array(["", None]), ["x.parquet:row 1", "x.parquet:row 2"]),
        (pa.array([[1], [2]]), ["x.parquet:row 1", "x.parquet:row 2"]),
        (pa.array([float("nan"), 1.5]), ["x.parquet:row 1", "1.5"]),
        (pa.array([0, 2**30], pa.date32()), ["1970-01-01", "x.parquet:row 2"]),
    ],
)
def test_identities_of_any_type_are_text_or_the_place(
    tmp_path: Path, ids: pa.Array, expected: list[str]
) -> None:
    pq.write_table(pa.table({"id": ids, "text": [TEXT, "two"]}), tmp_path / "x.parquet")
    assert [d.id for d in read(tmp_path / "x.parquet")[0]] == expected


def test_text_that_is_none_costs_its_row_and_is_named(tmp_path: Path) -> None:
    texts = raw_strings(pa.string(), [b"good", b"\xff", b"fine"])
    pq.write_table(pa.table({"text": texts, "n": [1, 2, 3]}), tmp_path / "x.parquet")
    documents, report = read(tmp_path / "x.parquet")
    assert [d.fields["n"] for d in documents] == [1, 3]
    assert report.bad == [("row", 2, "'text' is not UTF-8")]
    with pytest.raises(UsageError, match=r"x\.parquet:row 2: 'text' is not UTF-8"):
        read(tmp_path / "x.parquet", strict=True)


def damaged(path: Path, column: str, group: int) -> None:
    """Overwrite the data pages of one column of one row group."""
    meta = pq.ParquetFile(path).metadata.row_group(group)
    place = [meta.column(n).path_in_schema for n in range(meta.num_columns)].index(column)
    chunk = meta.column(place)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(bytes(data))


def test_a_broken_row_group_costs_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": [f"t{n}" for n in range(6)]}), path, row_group_size=2)
    damaged(path, "text", 1)
    documents, report = read(path)
    assert [d.text for d in documents] == ["t0", "t1", "t4", "t5"]
    ((unit, row, reason),) = report.bad
    assert (unit, row) == ("row", 3) and reason.startswith("2 rows from here on cannot be read")


def test_a_broken_column_that_nobody_needs_costs_itself(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    table = pa.table({"text": ["t0", "t1", "t2"], "x": [1, 2, 3]})
    pq.write_table(table, path, row_group_size=2)
    damaged(path, "x", 0)
    documents, report = read(path)
    assert [(d.text, d.fields) for d in documents] == [("t0", {}), ("t1", {}), ("t2", {"x": 3})]
    assert sum(report.skipped.values()) == 1


def test_two_columns_of_text_are_refused_and_other_names_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    twice = pa.Table.from_arrays([pa.array(["t"])] * 2, names=["text", "text"])
    pq.write_table(twice, path)
    documents, report = read(path)
    assert not documents and "two columns 'text'" in str(report.broken)
    other = pa.Table.from_arrays(
        [pa.array(["t"]), pa.array([1]), pa.array([2])], ["text", "x", "x"]
    )
    pq.write_table(other, path)
    assert read(path)[0][0].fields == {"x": 1, "x~1": 2}


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1", b"{}", b"\x1f\x8b\x08"]
)
def test_what_is_no_table_is_a_broken_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.parquet").write_bytes(data)
    documents, report = read(tmp_path / "x.parquet")
    assert not documents and report.broken


def test_a_table_under_another_name_is_read_as_one(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["t"]}), tmp_path / "x.jsonl")
    assert [d.text for d in read(tmp_path / "x.jsonl")[0]] == ["t"]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


ROWS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "fields"]), JSON_VALUES), max_size=6)


@given(ROWS, st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_fields_hold_can_be_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("fields")
    documents = [document_from_row({"text": "t", **row}, str(n)) for n, row in enumerate(rows)]
    # Learnt in two parts and joined, as workers do.
    cut = data.draw(st.integers(0, len(documents)))
    parts = [FieldTypes(), FieldTypes()]
    for number, document in enumerate(documents):
        parts[number >= cut].add(document.fields)
    parts[0].merge(FieldTypes.from_json(json.loads(json.dumps(parts[1].as_json()))))
    writer = TableWriter(folder / "x.parquet", parts[0].schema(()))
    for document in documents:
        fields = parts[0].row(json.loads(pack(document.fields)))
        writer.add({"id": document.id, "text": document.text, **fields})
    writer.close()
    assert pq.read_metadata(folder / "x.parquet").num_rows == len(rows)
    assert write_documents(folder / "z.parquet", iter(documents)) == len(rows)
    assert (folder / "z.parquet").read_bytes() == (folder / "x.parquet").read_bytes()
    write_documents(folder / "y.jsonl", documents)
    for line in (folder / "y.jsonl").read_text().split("\n")[:-1]:
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_fields_beyond_a_thousand_share_a_column() -> None:
    types = FieldTypes()
    rows: list[dict[str, Any]] = [{f"k{n}": n, "other_fields": n} for n in range(1200)]
    for row in rows:
        types.add(row)
    assert len(types.schema(()).names) == 2 + 1000 + 1
    assert types.row(rows[5]) == {"k5": 5, "other_fields": '{"other_fields": 5}'}
    assert types.row(rows[1100]) == {"other_fields": '{"k1100": 1100, "other_fields": 1100}'}
