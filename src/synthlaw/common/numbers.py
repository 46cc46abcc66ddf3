"""Numbers as people write them: 7B, 1.5e12, 2 trillion, 1,000, 1_000, 47 557 632, 3,14."""

from __future__ import annotations

import math
import re
from typing import Literal

from synthlaw.common.errors import UsageError

Decimal = Literal[".", ","]
"""The sign before the fraction; the other one groups thousands."""

_SCALES = {
    "": 1.0,
    "k": 1e3,
    "thousand": 1e3,
    "m": 1e6,
    "mn": 1e6,
    "million": 1e6,
    "millions": 1e6,
    "b": 1e9,
    "bn": 1e9,
    "g": 1e9,
    "billion": 1e9,
    "billions": 1e9,
    "t": 1e12,
    "tn": 1e12,
    "trillion": 1e12,
    "trillions": 1e12,
    "p": 1e15,
    "quadrillion": 1e15,
}
_LONGEST = 80
"""A cell of more characters is no number."""

_SPACES = str.maketrans("\u00a0\u2009\u202f\u2007\u2212", "    -")
"""Spaces that group thousands, and the minus sign, as their ASCII forms."""

_NUMBER = re.compile(
    r"(?P<sign>[+-]?)\s*(?P<digits>[\d.,][\d.,_' ]*)"
    r"(?:[eE](?P<power>[+-]?\d{1,4})|\s*[x×*·]\s*10(?:\^|\*\*)(?P<ten>[+-]?\d{1,3}))?"
    r"\s*(?P<scale>[A-Za-z]*)\s*(?P<noun>[A-Za-z]*)",
    re.ASCII,
)
_NOUNS = frozenset({"", "tokens", "token", "tok", "toks", "params", "parameters", "param"})
_WHOLE = re.compile(
    r"\d+(?:_\d+)*|\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d{1,3}(?:'\d{3})+", re.ASCII
)


def scale_of(word: str) -> float | None:
    """The factor that `word` (B, million) stands for; None when it stands for none."""
    return _SCALES.get(word.lower())


def read_number(text: str, decimal: Decimal = ".") -> float | None:
    """The number that `text` writes, None when it writes none.

    Thousands may be grouped in threes by the sign that is not `decimal`, by spaces, apostrophes or
    underscores; a suffix (k, M, B, T, bn, million, billion, trillion), a power of ten and the
    nouns tokens and parameters may follow.
    """
    if len(text) > _LONGEST:
        return None
    match = _NUMBER.fullmatch(text.translate(_SPACES).strip())
    if match is None:
        return None
    scale, noun = match["scale"].lower(), match["noun"].lower()
    if scale in _NOUNS and not noun:
        scale = ""
    if scale not in _SCALES or noun not in _NOUNS:
        return None
    whole, _, fraction = match["digits"].strip().partition(decimal)
    if decimal == ",":
        whole = whole.replace(".", ",")
    if not (whole or fraction) or not (whole == "" or _WHOLE.fullmatch(whole)):
        return None
    if fraction and not fraction.isdigit():
        return None
    digits = re.sub(r"[,_' ]", "", whole) or "0"
    power = match["power"] or match["ten"] or "0"
    return float(f"{match['sign']}{digits}.{fraction or '0'}e{power}") * _SCALES[scale]


def parse_count(value: str | int | float, name: str = "number") -> float:
    """A positive count from `7B`, `200e9`, `1.5T`, `2 trillion`, `50k` or a plain number.

    Raises UsageError, naming `name`, when it is not a positive finite number.
    """
    if isinstance(value, str):
        number = read_number(value)
        if number is None:
            raise UsageError(f"{name}: found {value!r}; expected a count such as 7B, 50k or 1.5e12")
    else:
        number = float(value)
    if not math.isfinite(number) or number <= 0:
        raise UsageError(f"{name}: found {value!r}; expected a positive number")
    return number


SUFFIXES = (
    ("Z", 1e21),
    ("E", 1e18),
    ("P", 1e15),
    ("T", 1e12),
    ("B", 1e9),
    ("M", 1e6),
    ("k", 1e3),
)
"""Of counts, as they are printed; beyond P they are FLOP, and are not read: 1e18 is no 1E."""


def format_count(value: float, digits: int = 3) -> str:
    """`value` with a suffix: 27_900_000 is '27.9M'."""
    if not math.isfinite(value):
        return str(value)
    for suffix, scale in SUFFIXES:
        if abs(value) >= scale * (1 - 0.5 * 10**-digits):
            return f"{float(f'{value / scale:.{digits}g}'):g}{suffix}"
    return f"{value:.{digits}g}"


def format_seconds(seconds: float) -> str:
    """A duration as people read it: 42 s, 3 min 10 s, 5 h 20 min, 12 days."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours = minutes // 60
    if hours < 100:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{hours / 24:,.0f} days"
