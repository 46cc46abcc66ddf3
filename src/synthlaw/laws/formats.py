"""Files of runs as rows: delimited text, JSON, JSONL, Parquet and Arrow, compressed or not.

What a file is, its first bytes say, not its name. Its content may come from anywhere, so its size
is bounded before it is parsed, and whatever cannot be read names the place and the reason.
"""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import itertools
import json
import lzma
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from synthlaw.common.errors import UsageError

MOST_BYTES = 64 * 1024**2
"""The largest table that is read, after decompression: some 300,000 runs of 20 columns."""

MOST_CELLS = 3_000_000
"""Rows times columns of the largest table that is read."""


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
EXPECTED = "expected a table of runs as CSV, TSV, JSON, JSONL or Parquet"


@dataclass
class Rows:
    """Rows by column, each with its line in the file.

    semicolons: cells are parted by semicolons, which is where commas begin fractions.
    notes: what was passed over while reading.
    """

    rows: list[dict[str, Any]]
    lines: list[int]
    semicolons: bool = False
    notes: list[str] = field(default_factory=list)


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
        return _delimited(text, path)
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


def _delimited(text: str, path: Path) -> Rows:
    """Rows of delimited text; every row has as many cells as the header, or it is refused."""
    text, skipped = _without_preamble(text)
    sign = skipped.sign or delimiter_of(text)
    records = _records(text, sign, path)
    first = next(records, None)
    if first is None:
        raise UsageError(f"{path}: found no header line; {EXPECTED}")
    header = _header(first[1], path)
    notes = [f"{skipped.lines} lines of comment before the header"] if skipped.lines else []
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    for line, cells in records:
        if not any(cells):
            continue
        while len(cells) > len(header) and not cells[-1]:
            cells.pop()
        if len(cells) != len(header):
            raise UsageError(_uneven(cells, header, f"{path}, line {line + skipped.lines}"))
        rows.append({name: cell for name, cell in zip(header, cells, strict=True) if name})
        lines.append(line + skipped.lines)
        if len(rows) * len(header) > MOST_CELLS:
            raise UsageError(f"{path}: found over {MOST_CELLS} cells; expected one row per run")
    return Rows(rows, lines, sign == ";", notes)


@dataclass(frozen=True)
class _Preamble:
    lines: int
    sign: str


def _without_preamble(text: str) -> tuple[str, _Preamble]:
    """The text from its header on: `sep=;` and lines of comment are no header.

    A comment right before a line of numbers is the header itself (numpy writes such files).
    """
    lines, sign = 0, ""
    rest = text
    while True:
        line, end, after = _first_line(rest)
        declared = re.fullmatch(r"sep=(.)", line.strip(' "'))
        if declared:
            sign = declared[1]
        elif line.startswith("#"):
            following = _first_line(after)[0]
            if following[:1] not in ("", "#") and not re.search("[A-DF-Za-df-z]", following):
                return line.lstrip("# ") + end + after, _Preamble(lines, sign)
        elif line.strip() or not after:
            return rest, _Preamble(lines, sign)
        lines, rest = lines + 1, after


def _first_line(text: str) -> tuple[str, str, str]:
    match = re.search(r"\r\n|\n|\r", text[:100_000])
    if match is None:
        return text, "", ""
    return text[: match.start()], match[0], text[match.end() :]


def delimiter_of(text: str) -> str:
    """The sign that parts the cells: the one by which most first rows are as long as the header.

    Blanks part cells only where no other sign does.
    """
    sample = text[:65536]
    best, best_score = ",", (0, 0)
    for sign in (",", ";", "\t", "|"):
        widths: list[int] = []
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=sign, skipinitialspace=True)
        with contextlib.suppress(csv.Error):
            widths += itertools.islice((len(row) for row in reader if row), 20)
        if widths and widths[0] > 1:
            score = (sum(n == widths[0] for n in widths), widths[0])
            best, best_score = (sign, score) if score > best_score else (best, best_score)
    first = _first_line(sample)[0]
    return " " if best_score == (0, 0) and len(first.split()) > 1 else best


def _records(text: str, sign: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of each record, cells without stray spaces."""
    if sign == " ":
        for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
            if line.strip():
                yield number, line.split()
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=sign, skipinitialspace=True)
    try:
        for row in reader:
            if any("\n" in cell or "\r" in cell for cell in row):
                _require_closed_quotes(text, path)
            cells = [cell.strip() for cell in row]
            if sign == "|":
                cells = _within_bars(cells)
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num}: found {error}; {EXPECTED}") from None


def _within_bars(cells: list[str]) -> list[str]:
    """Cells of a Markdown row: bars at both ends and the rule under the header mean nothing."""
    if len(cells) > 2 and not cells[0] and not cells[-1]:
        cells = cells[1:-1]
    return [] if all(re.fullmatch(r":?-+:?", cell) for cell in cells) else cells


def _require_closed_quotes(text: str, path: Path) -> None:
    """A quote that never ends would swallow the rows after it."""
    if text.count('"') % 2:
        raise UsageError(
            f"{path}: found a quotation mark that is never closed; expected cells such as "
            '"a, b", or a doubled mark within a quoted cell'
        )


def _header(cells: list[str], path: Path) -> list[str]:
    """The columns' names; the same name twice can be read in two ways."""
    names = [name.strip() for name in cells]
    while names and not names[-1]:
        names.pop()
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise UsageError(
            f"{path}, line 1: found the column {twice[0]!r} {names.count(twice[0])} times; "
            "expected every name once"
        )
    return names


def _uneven(cells: list[str], header: list[str], place: str) -> str:
    text = (
        f"{place}: found {len(cells)} cells ({', '.join(cells)[:60]}); expected {len(header)}, as "
        "the header has"
    )
    groups = re.search(r"(?:^|,)(\d{1,3}(?:,\d{3})+)(?=,|$)", ",".join(cells))
    if len(cells) > len(header) and groups:
        text += (
            f". If {groups[1]} is one number, quote it or leave its separators out: "
            f"{groups[1].replace(',', '')}"
        )
    return text


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
        return _arrow_rows(file.read())
    except (pa.ArrowException, OSError, MemoryError, ValueError, IndexError) as error:
        first = str(error).split("\n", 1)[0]
        raise UsageError(f"{path}: found no readable Parquet table ({first})") from None


def _arrow(data: bytes, path: Path) -> Rows:
    import pyarrow as pa

    try:
        table = pa.ipc.open_file(pa.BufferReader(data)).read_all()
        if table.num_rows * table.num_columns > MOST_CELLS:
            raise UsageError(f"{path}: found {table.num_rows} rows; expected one row per run")
        return _arrow_rows(table)
    except (pa.ArrowException, OSError, MemoryError, ValueError, IndexError) as error:
        first = str(error).split("\n", 1)[0]
        raise UsageError(f"{path}: found no readable Arrow table ({first})") from None


def _arrow_rows(table: Any) -> Rows:
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
