"""Counts as people write them: 7B, 200B, 1.5e12, 50k."""

from __future__ import annotations

import math
import re

from synthlaw.common.errors import UsageError

_SUFFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
_NUMBER = re.compile(
    r"\s*([+-]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([kKmMbBgGtT]?)\s*"
)


def parse_count(value: str | int | float, name: str = "number") -> float:
    """A positive count from `7B`, `200e9`, `1.5T`, `50k` or a plain number.

    Raises UsageError, naming `name`, when it is not a positive finite number.
    """
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        if match is None:
            raise UsageError(f"{name}: found {value!r}; expected a count such as 7B, 50k or 1.5e12")
        number = float(match[1].replace(",", "").replace("_", "")) * _SUFFIXES[match[2].lower()]
    else:
        number = float(value)
    if not math.isfinite(number) or number <= 0:
        raise UsageError(f"{name}: found {value!r}; expected a positive number")
    return number


def format_count(value: float, digits: int = 3) -> str:
    """`value` with a suffix: 27_900_000 is '27.9M'."""
    if not math.isfinite(value):
        return str(value)
    for suffix, scale in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= scale * (1 - 0.5 * 10**-digits):
            return f"{value / scale:.{digits}g}{suffix}"
    return f"{value:.{digits}g}"


def format_seconds(seconds: float) -> str:
    """A duration as people read it: 42 s, 3 min 10 s, 5 h 20 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
