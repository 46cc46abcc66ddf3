"""Delimited text as rows: commas, semicolons, tabs, bars or blanks, quoted or not."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.laws.rows import EXPECTED, MOST_CELLS, Rows


def read_delimited(text: str, path: Path) -> Rows:
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
