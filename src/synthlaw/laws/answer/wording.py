"""Answers in words: every number with as many digits as its interval supports."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from synthlaw.common.numbers import format_count

Pair = Sequence[float | None] | None

FAR = 1.05
"""From this factor beyond the runs on, a sentence names it."""


NAMED = 3
"""Types whose best shares a sentence names."""


def whole(pair: Pair) -> bool:
    """Whether an interval has both ends."""
    return pair is not None and len(pair) == 2 and None not in pair


def decimals(pair: Pair, value: float) -> int:
    """Decimals (negative: tens, hundreds) down to the first digit of an interval's half-width.

    Without an interval: three digits of the value.
    """
    low, high = (pair[0], pair[1]) if pair is not None and whole(pair) else (None, None)
    width = 0.0 if low is None or high is None else (high - low) / 2
    if not math.isfinite(width) or width <= 0:
        return 0 if value == 0 else 2 - math.floor(math.log10(abs(value)))
    return min(-math.floor(math.log10(width)), 6)


def plain(value: float, places: int) -> str:
    """A number with `places` decimals; whole numbers are grouped in threes."""
    return f"{round(value, places):,.{max(places, 0)}f}"


def bounded(value: float, pair: Pair, sign: str = "") -> str:
    """`value [low, high]`, rounded by the width but to one digit at least; an open end is ∞."""
    places = decimals(pair, value)
    if value != 0:
        places = max(places, -math.floor(math.log10(abs(value))))
    text = f"{round(value, places):{sign},.{max(places, 0)}f}"
    if pair is None:
        return text
    low, high = (plain(v, places) if v is not None else "∞" for v in pair)
    return f"{text} [{low}, {high}]"


def counted(value: float, pair: Pair) -> str:
    """A count with a suffix and its interval: 25B [18B, 40B]."""
    if pair is None or not whole(pair):
        return format_count(value, 2)
    low, high = (format_count(float(v), 2) for v in pair if v is not None)
    return f"{format_count(value, 2)} [{low}, {high}]"


def money(value: float) -> str:
    """Two digits: prices and speeds are not known better."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    places = 1 - math.floor(math.log10(abs(value)))
    return plain(value, places)


def times(row: Mapping[str, Any]) -> str:
    """The speed-up of an option with its interval, "never" where it does not get there."""
    value = row["speedup"]
    if value is None:
        return ""
    if value <= 0:
        return "never"
    if row.get("needs_less_than_any_run"):
        return f"over {format_count(row['speedup_shown'], 2)}"
    return bounded(value, row["speedup_interval"])


def sentence(result: Mapping[str, Any]) -> str:
    """The advice: what to train on, what is expected there, how surely, and how far out it lies."""
    parts = [_opening(result)]
    if far := _distance(result):
        parts.append(far)
    if result["shares"] and result["ratios"]:
        parts.append(_shares(result["shares"]))
    if result["compute_optimal"] and not result["options"]:
        parts.append(_split(result["compute_optimal"]))
    if not result["options"]:
        parts.append(_second_mixture(result))
    return " ".join(parts)


def _place(result: Mapping[str, Any]) -> str:
    asked = result["params"], result["tokens"]
    return f"at {format_count(asked[0])} parameters and {format_count(asked[1])} tokens"


def _loss(row: Mapping[str, Any]) -> str:
    return bounded(row["loss"], row["interval"])


def _opening(result: Mapping[str, Any]) -> str:
    base, best, options = result["baseline"], result["best"], result["options"]
    place = _place(result)
    if not options:
        return f"'{base['mixture']}' {place}: expected loss {_loss(base)} nats per token."
    settled = result["level"] == "supported"
    if best is None:
        chance = _chance(base["probability_best"])
        if settled:
            return (
                f"Train on natural text alone: {place} no mixture is expected below its loss of "
                f"{_loss(base)} nats per token."
            )
        return (
            f"Not settled: {place} natural text alone ('{base['mixture']}') has the lowest "
            f"expected loss, {_loss(base)} nats per token{chance}."
        )
    text = (
        f"Train on '{best['mixture']}': {place} its expected loss is {_loss(best)} nats per token"
    )
    if not settled:
        text = (
            f"Not settled {place}: '{best['mixture']}' has the lowest expected loss, "
            f"{_loss(best)} nats per token{_chance(best['probability_best'])}"
        )
    if best["ratio_interval"]:
        low, high = best["ratio_interval"]
        text += f" (the best share: {low:.0%} to {high:.0%})"
    if base is None:
        return f"{text}. Natural text alone was not run: no gain over it can be told."
    return f"{text}, against {_loss(base)} for '{base['mixture']}'{_faster(best, base)}."


def _shares(rows: Sequence[Mapping[str, Any]]) -> str:
    """The best share of each type, where the answer is of mixtures that were run."""
    more = f"; and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
    return f"The best shares, lowest loss first: {'; '.join(map(_share, rows[:NAMED]))}{more}."


def _share(row: Mapping[str, Any]) -> str:
    share = f"{row['best_ratio']:.0%}"
    text = f"{'none' if share == '0%' else share} of {row['synthetic_type']}"
    if whole(row["interval"]):
        text += f" [{row['interval'][0]:.0%}, {row['interval'][1]:.0%}]"
    if whole(row["as_good"]):
        text += f", {row['as_good'][0]:.0%} to {row['as_good'][1]:.0%} as good"
    if row["at_edge"]:
        text += ", at the edge of what was tried"
    if row["at"]:
        nouns = {"params": "parameters"}
        listed = [f"{format_count(v)} {nouns.get(n, n)}" for n, v in row["at"].items()]
        text += f" (at {' and '.join(listed)})"
    return text


def _chance(probability: float | None) -> str:
    return "" if probability is None else f" (the best with probability {probability:.2f})"


def _faster(best: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    speedup = best["speedup"]
    if speedup is None or speedup <= 0:
        return ""
    if best["needs_less_than_any_run"]:
        least = format_count(best["smallest_run"])
        return f", which it reaches with fewer tokens than the smallest run had ({least})"
    return f", which it reaches with {times(best)} times fewer tokens"


def _distance(result: Mapping[str, Any]) -> str:
    far = {name: f for name, f in result["extrapolation"].items() if f > FAR}
    if not far:
        return ""
    nouns = {"params": "parameters"}
    text = " and ".join(f"{f:.2g} times in {nouns.get(n, n)}" for n, f in far.items())
    how = {
        True: "the intervals are widened by the error that smaller runs made in predicting "
        "larger ones",
        False: "the intervals are widened by the error usual there, as these runs cannot show "
        "their own",
    }[bool(result["drift"])]
    if result["interval_level"] is None:
        return f"That lies outside the runs: {text}; no interval is known."
    return f"That lies outside the runs: {text}; {how}."


def _split(split: Mapping[str, Any]) -> str:
    far = max(split["extrapolation"].values(), default=1.0)
    outside = f", {far:.2g} times outside the runs" if far > FAR else ""
    params = counted(split["params"], split["params_interval"])
    tokens = counted(split["tokens"], split["tokens_interval"])
    return (
        f"The same {split['flops']:.2g} FLOP are best spent on {params} parameters and {tokens} "
        f"tokens: loss {_loss(split)}{outside}."
    )


def _second_mixture(result: Mapping[str, Any]) -> str:
    resolved = result["resolvable_difference"]
    least = "" if resolved is None else f", from a difference of about {money(resolved)} nats on"
    return (
        "With one mixture there is nothing to choose: runs of a second one at the same sizes "
        f"(fit --by mixture) would say which text is better{least}, and how many tokens it saves."
    )
