"""Files of runs as rows: delimited text, JSON, JSONL, Parquet and Arrow, compressed or not.

What a file is, its first bytes say, not its name. Its content may come from anywhere, so its size
is bounded before it is parsed, and whatever cannot be read names the place and the reason.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from synthlaw.common.errors import UsageError
from synthlaw.laws.delimited import read_delimited
from synthlaw.laws.rows import EXPECTED, MOST_CELLS, Rows

MOST_BYTES = 64 * 1024**2
"""The largest table that is read, after decompression: some 300,000 runs of 20 columns."""


def _zstd(raw: IO[bytes]) -> Any:
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(raw), "zstd")


COMPRESSED: dict[bytes, tuple[str, Callable[[IO[bytes]], Any]]] = {
    b"\x1f\x8b": ("gzip", lambda raw: gzip.GzipFile(fileobj=raw)),
    b"BZh": ("bzip2", bz2.BZ2File),
    b"\xfd7zXZ\x00": ("xz", lzma.LZMAFile),
    b"\x28\xb5\x2f\xfd": ("zstd", _zstd),
}
FOREIGN = {
    b"PK\x03\x04": "an Excel workbook or another zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x89HDF": "HDF5",
    b"SQLite format 3": "an SQLite database",
    b"%PDF": "a PDF",
    b"\x93NUMPY": "a numpy array",
    b"\x80\x04\x95": "a pickle",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
}


def read_rows(path: Path) -> Rows:
    """The rows of the file at `path`. Raises UsageError naming place, found and expected."""
    if not path.is_file():
        raise UsageError(f"{path}: found no such file; {EXPECTED}")
    data = _content(path)
    if data[:4] == b"PAR1":
        found = _parquet(data, path)
    elif data[:6] == b"ARROW1":
        found = _arrow(data, path)
    else:
        _refuse_foreign(data, path)
        found = _text_rows(_decoded(data, path), path)
    if not found.rows:
        raise UsageError(f"{path}: found a header but no rows; expected one row per run")
    return found


def _content(path: Path) -> bytes:
    """The file's bytes, decompressed, never more than MOST_BYTES."""
    with path.open("rb") as raw:
        head = raw.read(8)
        raw.seek(0)
        kind = next((c for magic, c in COMPRESSED.items() if head.startswith(magic)), None)
        name, opened = (kind[0], kind[1](raw)) if kind else ("", raw)
        try:
            data: bytes = opened.read(MOST_BYTES + 1)
        except (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError) as error:
            raise UsageError(f"{path}: found no readable {name} file ({error})") from None
    if len(data) > MOST_BYTES:
        raise UsageError(
            f"{path}: found more than {MOST_BYTES >> 20} MiB; expected a table with one row per run"
        )
    return data


def _refuse_foreign(data: bytes, path: Path) -> None:
    kind = next((k for magic, k in FOREIGN.items() if data[:15].startswith(magic)), None)
    if kind is not None:
        raise UsageError(f"{path}: found {kind}; {EXPECTED} (save it as CSV)")


def _decoded(data: bytes, path: Path) -> str:
    """Text of UTF-8, or of UTF-16 with its mark; control characters mean that it is no text."""
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        # Bytes of an old single-byte encoding can only be names: numbers are ASCII everywhere.
        if wide or re.search(rb"[\x00-\x08\x0e-\x1f\x7f\x81\x8d\x8f\x90\x9d]", data):
            raise UsageError(
                f"{path}: found bytes that are not UTF-8 text ({error.reason}); {EXPECTED}"
            ) from None
        text = data.decode("cp1252")
    if "\x00" in text:
        raise UsageError(f"{path}: found NUL characters, which no text has; {EXPECTED}")
    return text


def _text_rows(text: str, path: Path) -> Rows:
    start = text.lstrip()
    if not start:
        raise UsageError(
            f"{path}: found an empty file; expected a header line and one row per run with "
            "columns such as params,tokens,loss"
        )
    if start[0] not in "[{":
        return read_delimited(text, path)
    try:
        return _json_document(json.loads(start), path)
    except RecursionError:
        raise UsageError(f"{path}: found JSON nested too deeply; {EXPECTED}") from None
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" or path.suffix.lower() in (".jsonl", ".ndjson"):
            return _json_lines(text, path)
        raise UsageError(f"{path}, line {error.lineno}: found no JSON ({error.msg})") from None
    except ValueError as error:
        raise UsageError(f"{path}: found no JSON ({error}); {EXPECTED}") from None


def _json_lines(text: str, path: Path) -> Rows:
    rows, lines = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}, line {number}: found no JSON ({error})") from None
        if not isinstance(value, dict):
            raise UsageError(
                f"{path}, line {number}: found {line[:40]!r}; expected an object such as "
                '{"params": 1e9, "tokens": 2e10, "loss": 3.1}'
            )
        rows.append(flat(value))
        lines.append(number)
    return _bounded(Rows(rows, lines), path)


def _json_document(value: Any, path: Path) -> Rows:
    """A list of objects, an object holding one, or an object of columns."""
    if isinstance(value, dict):
        columns = value.get("columns")
        if isinstance(columns, list) and isinstance(value.get("data"), list):
            value = [dict(zip(map(str, columns), row, strict=False)) for row in value["data"]
                     if isinstance(row, list) and len(row) == len(columns)]  # fmt: skip
        else:
            lists = [v for v in value.values() if isinstance(v, list) and v and _objects(v)]
            value = lists[0] if len(lists) == 1 else _transposed(value) or [value]
    if not value or not _objects(value):
        raise UsageError(
            f"{path}: found JSON that is neither a list of objects nor columns; expected "
            '[{"params": 1e9, "tokens": 2e10, "loss": 3.1}, …]'
        )
    return _bounded(Rows([flat(row) for row in value], list(range(1, len(value) + 1))), path)


def _objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _transposed(value: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Rows of an object of columns, each a list or an object by row; None when it is no such."""
    if all(isinstance(v, list) for v in value.values()):
        columns: dict[str, list[Any]] = dict(value)
    elif all(isinstance(v, dict) for v in value.values()):
        keys = list(next(iter(value.values())))
        if not keys or any(list(v) != keys for v in value.values()):
            return None
        columns = {name: list(v.values()) for name, v in value.items()}
    else:
        return None
    if len({len(cells) for cells in columns.values()}) != 1:
        return None
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Nested objects as columns with dotted names, as {"config": {"params": 1}} of an export."""
    found: dict[str, Any] = {}
    waiting: list[tuple[str, Any, int]] = [("", row, 0)]
    while waiting:
        name, value, depth = waiting.pop()
        if isinstance(value, Mapping) and depth < 4:
            inner = [(f"{name}.{k}" if name else str(k), v, depth + 1) for k, v in value.items()]
            waiting += reversed(inner)
        else:
            found[name.strip()] = value
    return found


def _bounded(found: Rows, path: Path) -> Rows:
    if sum(map(len, found.rows)) > MOST_CELLS:
        raise UsageError(f"{path}: found more than {MOST_CELLS} cells; expected one row per run")
    return found


def _parquet(data: bytes, path: Path) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        about = file.metadata
        stored = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
        if about.num_rows * about.num_columns > MOST_CELLS or stored > 4 * MOST_BYTES:
            raise UsageError(
                f"{path}: found {about.num_rows} rows of {about.num_columns} columns; expected "
                "one row per run"
            )
        return arrow_rows(file.read())
    except (pa.ArrowException, OSError, MemoryError, ValueError, IndexError) as error:
        first = str(error).split("\n", 1)[0]
        raise UsageError(f"{path}: found no readable Parquet table ({first})") from None


def _arrow(data: bytes, path: Path) -> Rows:
    import pyarrow as pa

    try:
        table = pa.ipc.open_file(pa.BufferReader(data)).read_all()
        if table.num_rows * table.num_columns > MOST_CELLS:
            raise UsageError(f"{path}: found {table.num_rows} rows; expected one row per run")
        return arrow_rows(table)
    except (pa.ArrowException, OSError, MemoryError, ValueError, IndexError) as error:
        first = str(error).split("\n", 1)[0]
        raise UsageError(f"{path}: found no readable Arrow table ({first})") from None


def arrow_rows(table: Any) -> Rows:
    """Rows of an Arrow table; a column that Python cannot hold is passed over and noted."""
    import pyarrow as pa

    table.validate(full=True)  # A broken offset would otherwise be followed out of the buffer.
    notes, columns = [], {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            columns[name] = column.to_pylist()
        except (pa.ArrowException, ValueError, OverflowError, TypeError) as error:
            first = str(error).split("\n", 1)[0]
            notes.append(f"column '{name}' holds values that cannot be read ({first})")
    plain = zip(*columns.values(), strict=True) if columns else []
    rows = [flat(dict(zip(columns, row, strict=True))) for row in plain]
    return Rows(rows, list(range(1, len(rows) + 1)), notes=notes)
