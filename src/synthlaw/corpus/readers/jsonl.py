"""Objects of JSON lines; a line that is none costs only itself."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from synthlaw.corpus.readers.input_file import ReadReport

LONGEST_LINE = 1 << 28
"""Longest line in bytes that is read."""

_BOMS = (
    (codecs.BOM_UTF8, None),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class _DoubleKeyError(ValueError):
    """An object in which a key that matters stands twice."""


def json_rows(
    parts: Iterable[bytes],
    report: ReadReport,
    watched: frozenset[str] = frozenset(("id", "text")),
    *,
    before: int = 0,
) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Objects of JSON lines (or of one JSON list) with their line numbers (or places), from 1.

    parts: the file's bytes, unpacked. watched: keys that may not stand twice in an object. A line
    that is no object is counted in the report and given as None. before: lines of the file that
    come before these.
    """
    if before:  # what may stand at the start of a file cannot stand here
        yield from _objects(_lines(iter(parts), before), report, watched)
        return
    lines = _lines(_as_utf8(iter(parts)))
    first = next(lines, None)
    if first is None:
        return
    lines = chain([first], lines)
    if first[1] is not None and first[1].lstrip().startswith(b"["):
        held, listed = _list(lines)
        if listed is not None:
            for number, item in enumerate(listed, start=1):
                yield number, _object(item, number, report, "row")
            return
        lines = held
    yield from _objects(lines, report, watched)


def _objects(
    lines: Iterable[tuple[int, bytes | None]], report: ReadReport, watched: frozenset[str]
) -> Iterator[tuple[int, dict[str, Any] | None]]:
    decoder = json.JSONDecoder(object_pairs_hook=_pairs(watched))
    for number, line in lines:
        if line is None:
            report.bad_record("line", number, f"longer than {LONGEST_LINE} bytes")
            yield number, None
        elif line.strip():
            yield number, _parsed(line, number, report, decoder)


def _parsed(
    line: bytes, number: int, report: ReadReport, decoder: json.JSONDecoder
) -> dict[str, Any] | None:
    try:
        value = decoder.decode(line.decode("utf-8"))
    except UnicodeDecodeError:
        report.bad_record("line", number, "not UTF-8")
    except json.JSONDecodeError as error:
        report.bad_record("line", number, f"not JSON ({error.msg})")
    except _DoubleKeyError as error:
        report.bad_record("line", number, str(error))
    except ValueError:
        report.bad_record("line", number, "not JSON (a number of too many digits)")
    except RecursionError:
        report.bad_record("line", number, "not JSON that can be read (nested too deeply)")
    else:
        return _object(value, number, report, "line")
    return None


def _object(value: Any, number: int, report: ReadReport, unit: str) -> dict[str, Any] | None:
    if isinstance(value, dict):
        return value
    report.bad_record(unit, number, f"found a JSON {type(value).__name__}; expected an object")
    return None


def _pairs(watched: frozenset[str]) -> Any:
    def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            for name in watched:
                if names.count(name) > 1:
                    raise _DoubleKeyError(f"the key '{name}' stands twice in one object")
        return found

    return object_of


def _list(
    lines: Iterator[tuple[int, bytes | None]],
) -> tuple[Iterator[tuple[int, bytes | None]], list[Any] | None]:
    """The one JSON list that the lines are, if they are; and the lines again."""
    taken: list[tuple[int, bytes | None]] = []
    size = 0
    for number, line in lines:
        taken.append((number, line))
        size += len(line or b"") + 1
        if line is None or size > LONGEST_LINE:
            return chain(taken, lines), None
    try:
        value = json.loads(b"\n".join(line or b"" for _, line in taken).decode("utf-8"))
    except (ValueError, RecursionError):
        return iter(taken), None
    # A file of one line that is a list of no objects is a bad line.
    whole = isinstance(value, list) and any(isinstance(item, dict) for item in value)
    return iter(taken), value if whole else None


def _lines(parts: Iterator[bytes], before: int = 0) -> Iterator[tuple[int, bytes | None]]:
    """Lines with their numbers from `before` + 1; None for one too long. Time is linear."""
    pending: list[bytes] = []
    size, number = 0, before
    for part in parts:
        *ended, rest = part.split(b"\n")
        for piece in ended:
            number += 1
            whole = size + len(piece) <= LONGEST_LINE
            yield number, b"".join([*pending, piece]) if whole else None
            pending, size = [], 0
        size += len(rest)
        if size <= LONGEST_LINE:
            pending.append(rest)
        else:
            pending = []
    if size:
        yield number + 1, b"".join(pending) if size <= LONGEST_LINE else None


def _as_utf8(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The parts without a byte order mark; those of UTF-16 and UTF-32, if it says so, as UTF-8."""
    head = b""
    for part in parts:
        head += part
        if len(head) >= 4:
            break
    for mark, encoding in _BOMS:
        if not head.startswith(mark):
            continue
        if encoding is None:
            yield head[len(mark) :]
            break
        decoder = codecs.getincrementaldecoder(encoding)("replace")
        for part in chain([head], parts):
            yield decoder.decode(part).encode("utf-8", "replace")
        return
    else:
        yield head
    yield from parts
