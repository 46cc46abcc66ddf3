"""Numbers as the page, the figures and the terminal print them."""

from __future__ import annotations

import math

from synthlaw.common.numbers import format_count
from synthlaw.report.artifacts import Interval

NONE = "–"
MINUS = "−"


def number(value: float | None, digits: int = 3) -> str:
    """A value with fixed decimals and a true minus sign."""
    if value is None or not math.isfinite(value):
        return NONE
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def signed(value: float | None, digits: int = 3) -> str:
    """A difference: always with its sign, unless it rounds to zero."""
    text = number(value, digits)
    if text == NONE or text.startswith(MINUS) or float(text) == 0:
        return text
    return f"+{text}"


def interval(value: Interval | None, digits: int = 3, *, sign: bool = False) -> str:
    """`low to high`; an open end is written as at least, or at most."""
    if value is None or value == (None, None):
        return NONE
    show = signed if sign else number
    low, high = value
    if low is None:
        return f"≤ {show(high, digits)}"
    if high is None:
        return f"≥ {show(low, digits)}"
    return f"{show(low, digits)} to {show(high, digits)}"


def percent(share: float | None, digits: int = 0) -> str:
    """A share in percent; a share strictly between 0 and 1 never rounds to either."""
    if share is None or not math.isfinite(share):
        return NONE
    step = 10**-digits
    value = 100 * share
    if 0 < value < step / 2:
        return f"<{step:.{digits}f}%"
    if 100 - step / 2 <= value < 100:
        return f">{100 - step:.{digits}f}%"
    return f"{value:.{digits}f}%"


def times(value: float | None) -> str:
    """A factor: 1.7×. A speed-up of zero means that the loss is never reached."""
    if value is None:
        return NONE
    if value == 0:
        return "never"
    return f"{number(value, 2) if value < 10 else significant(value, 3)}×"


def times_interval(value: Interval | None) -> str:
    """A factor's interval."""
    if value is None or value == (None, None):
        return NONE
    low, high = value
    if low == high == 0:
        return NONE  # beside "never" there is no more to say
    if low is None:
        return f"≤ {times(high)}"
    if high is None:
        return f"≥ {times(low)}"
    return f"{times(low).removesuffix('×')} to {times(high)}"


def significant(value: float | None, digits: int = 3) -> str:
    """A value with `digits` significant digits, in plain notation where that is readable."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if -4 <= size < 6:
        return f"{value:.{max(digits - 1 - size, 0)}f}".replace("-", MINUS)
    return f"{value:.{digits - 1}e}".replace("-", MINUS)


def count(value: float | None) -> str:
    """A count as people write it: 1.2M."""
    return NONE if value is None else format_count(value)


def whole(value: float | None) -> str:
    """An exact count with thin spaces between thousands."""
    return NONE if value is None else f"{value:,.0f}".replace(",", "\u202f")


def counted(number: int, word: str) -> str:
    """A number and its word: '1 run', '2 runs'."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
