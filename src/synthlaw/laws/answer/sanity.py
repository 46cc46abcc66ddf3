"""Questions that no law can answer: sizes and prices that are slips of the pen."""

from __future__ import annotations

import math
from collections.abc import Sequence

from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import format_count
from synthlaw.laws.answer.options import Situation
from synthlaw.laws.lawfit import LawFit

ABSURD = 1000.0
"""A size by more than this factor beyond the runs is no question to their laws."""

MOST_EPOCHS = 10_000.0
"""Natural text repeated more often is a slip: four epochs are common, hundreds unheard of."""


def require_sane(laws: Sequence[LawFit], situation: Situation) -> None:
    """Raise UsageError, with what was probably meant, for an absurd question to `laws`."""
    for name, value in (("params", situation.params), ("tokens", situation.tokens)):
        ends = [end for law in laws for end in places_of(law, name)]
        if not ends:
            continue
        low, high = min(ends), max(ends)
        factor = max(value / high, low / value)
        if factor > ABSURD:
            meant = _meant(value, low, high)
            raise UsageError(
                f"{name}: found {format_count(value)}, {format_count(factor, 2)} times "
                f"{'above' if value > high else 'below'} the runs ({format_count(low)} to "
                f"{format_count(high)}); expected a size within {ABSURD:.0f} times of them"
                + (f". Did you mean {meant}?" if meant else "")
            )
    natural = situation.natural_tokens
    if natural is not None and situation.tokens / natural > MOST_EPOCHS:
        meant = _meant(natural, situation.tokens / 30, situation.tokens)
        raise UsageError(
            f"natural tokens: found {format_count(natural)} for a budget of "
            f"{format_count(situation.tokens)}, which repeats them "
            f"{format_count(situation.tokens / natural, 2)} times"
            + (f". Did you mean {meant}?" if meant else "")
        )


def places_of(law: LawFit, name: str) -> list[float]:
    """The sizes that a law's runs had: the ends of their range, or where they hold it."""
    if name in law.at and name not in law.form.inputs:
        return [law.at[name] * law.unit[name]]
    return list(law.ranges[name]) if name in law.ranges and law.reads(name) else []


def _meant(value: float, low: float, high: float) -> str:
    """The number with the suffix that brings it nearest to the runs; "" when none does."""

    def beyond(number: float) -> float:
        return max(math.log(number / high), math.log(low / number), 0.0)

    near = min(((value * s, n) for n, s in SUFFIXES.items()), key=lambda pair: beyond(pair[0]))
    written = f"{value:g}{near[1]}" if value < 1000 else format_count(near[0])
    return written if beyond(near[0]) <= math.log(30) else ""


SUFFIXES = {"k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
"""What may have been left out behind a number."""
