"""Small marks inside table rows: a value with its interval on a scale that all rows share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from synthlaw.report.artifacts import Interval

PADDING = 0.06


@dataclass(frozen=True)
class Mark:
    """Positions in percent of the row's width; open ends reach the edge."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Scale:
    """A linear scale from `low` to `high`, drawn from 0 to 100 percent."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Where a value lies, in percent, held within the scale."""
        width = self.high - self.low
        if width <= 0:
            return 50.0
        return round(100 * min(max((value - self.low) / width, 0.0), 1.0), 2)

    def mark(self, value: float | None, span: Interval | None) -> Mark | None:
        """The mark of a value; None when there is no value."""
        if value is None:
            return None
        if span is None or span == (None, None):
            return Mark(self.at(value), None, None)
        low, high = span
        return Mark(
            self.at(value),
            0.0 if low is None else self.at(low),
            100.0 if high is None else self.at(high),
        )


def scale_of(
    values: Iterable[float | None], spans: Iterable[Interval | None], zero: bool = False
) -> Scale | None:
    """A padded scale that holds every value and interval end (and zero); None without values."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    known += [end for span in spans if span is not None for end in span if end is not None]
    if zero:
        known.append(0.0)
    low, high = min(known), max(known)
    margin = PADDING * (high - low) or abs(high) * PADDING or 1.0
    return Scale(low - margin, high + margin)
