"""Cells of a runs table as numbers, in the writing of the table they stand in."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import Decimal, read_number
from synthlaw.laws.columns import Column

LARGEST = {"params": 1e16, "tokens": 1e19, "unique_tokens": 1e19, "loss": 1e4}
"""Nothing that was ever trained comes near; a number beyond was misread or mistyped."""

_SINGLE = re.compile(r"[+-]?(\d*)([.,])(\d+)\s*%?")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:([.,])\d{3})(?:\1\d{3})+(?:[.,]\d+)?.*")
_BOTH = re.compile(r"[+-]?\d{1,3}(?:[.,]\d{3})+([.,])\d+.*")


@dataclass(frozen=True)
class Evidence:
    """A cell that shows which sign begins fractions."""

    decimal: Decimal
    cell: str
    place: str


def evidence(text: str, variable: str, place: str) -> Evidence | None:
    """What one cell shows: 3.12, 3,12 and 1.234,5 show it; 1,000 tokens could be either."""
    text = text.strip()
    sign = ""
    if match := _SINGLE.match(text):
        whole, sign, fraction = match.groups()
        grouped = len(fraction) == 3 and 1 <= len(whole) <= 3 and whole.lstrip("0") != ""
        if grouped and variable not in ("loss", "ratio"):
            sign = ""
    if match := _GROUPED.fullmatch(text):
        sign = "," if match[1] == "." else "."
    elif (match := _BOTH.fullmatch(text)) and len(set(re.findall("[.,]", text))) == 2:
        sign = match[1]
    if sign == ".":
        return Evidence(".", text, place)
    return Evidence(",", text, place) if sign == "," else None


def decimal_of(cells: Iterable[tuple[str, str, str]], semicolons: bool, origin: str) -> Decimal:
    """The sign that begins fractions in a table, from (text, variable, place) of its cells.

    Raises UsageError where cells contradict each other, or where all can be read in two ways.
    """
    seen: dict[str, Evidence] = {}
    doubtful = ""
    for text, variable, place in cells:
        if "," not in text and "." not in text:
            continue
        found = evidence(text, variable, place)
        if found is not None:
            seen.setdefault(found.decimal, found)
        elif "," in text:
            doubtful = doubtful or f"{place}: found {text.strip()[:40]!r}"
    if len(seen) == 2:
        point, comma = seen["."], seen[","]
        raise UsageError(
            f"{origin}: found {point.cell[:40]!r} ({point.place}) and {comma.cell[:40]!r} "
            f"({comma.place}); expected one sign for fractions in the whole table"
        )
    if seen:
        return next(iter(seen.values())).decimal
    if semicolons:
        return ","
    if doubtful:
        raise UsageError(
            f"{origin}, {doubtful}, which can be read with thousands or with a fraction; "
            "expected 1000, 1_000 or 1.0"
        )
    return "."


def number_of(cell: Any, variable: str, column: Column, decimal: Decimal) -> tuple[float, str]:
    """A cell as a number and, when it is unusable, what was found and what would be right."""
    right = "a share from 0 to 1 (or 33%)" if variable == "ratio" else "a positive finite number"
    text = "" if cell is None else str(cell).strip()
    if text == "":
        return math.nan, f"found an empty cell; expected {right}"
    number = _read(cell, text, variable, column, decimal)
    if number is None:
        return math.nan, f"found {text[:40]!r}; expected {right}"
    fits = 0 <= number <= 1 if variable == "ratio" else number > 0
    if not math.isfinite(number) or not fits:
        return (
            math.nan,
            f"found {text[:40] if column.perplexity else f'{number:g}'}; expected {right}",
        )
    largest = LARGEST.get(variable, math.inf)
    if number > largest:
        return math.nan, f"found {number:.3g} {variable}; expected at most {largest:.0e}"
    return number, ""


def _read(cell: Any, text: str, variable: str, column: Column, decimal: Decimal) -> float | None:
    """The cell's value, before it is asked whether the variable can have it."""
    if isinstance(cell, bool):
        return None
    if isinstance(cell, str):
        percent = variable == "ratio" and text.endswith("%")
        bare = text.removesuffix("%") if percent else text
        number = read_number(bare, decimal)
        if number is None and re.fullmatch(r"[+-]?(nan|inf(inity)?)", bare, re.I):
            number = float(bare)
        if number is None or (re.search("[a-df-z]", text, re.I) and variable in ("loss", "ratio")
                              and math.isfinite(number)):  # fmt: skip
            return None
        scale = 1.0 if re.search("[A-DF-Za-df-z]", text) else column.scale
    else:
        try:
            number, percent, scale = float(cell), False, column.scale
        except (TypeError, ValueError, OverflowError):
            return None
    if percent or column.percent:
        number /= 100
    if column.perplexity:
        return math.log(number) if 0 < number < math.inf else math.nan
    return number * scale
