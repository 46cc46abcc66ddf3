"""The one answer: what to train on, what it gains, what it costs, how surely, how far out.

`recommend`, the laws stage of a study and its page all read what `recommend` below returns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.laws.answer.cautions import cautions_of
from synthlaw.laws.answer.comparison import finite, spread, vectors_of
from synthlaw.laws.answer.costs import account
from synthlaw.laws.answer.options import (
    Option,
    Situation,
    mixture_options,
    option_of,
    probabilities_best,
    ratio_options,
    tokens_for,
    tokens_for_base_loss,
    tokens_for_mixture_loss,
)
from synthlaw.laws.answer.predictors import Predictor, baseline_of, predictors
from synthlaw.laws.answer.sanity import require_sane
from synthlaw.laws.answer.shares import share_rows
from synthlaw.laws.answer.split import compute_optimal
from synthlaw.laws.answer.supply import epochs
from synthlaw.laws.answer.wording import sentence
from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.plain import without_infinities

Array = NDArray[np.float64]

CONVINCING = 0.9
"""Probability of being the best mixture from which an answer counts as supported."""

CLOSE = 1.05
"""Laws of one size say nothing sure of another that is further off than this factor."""


def recommend(laws: Sequence[LawFit], situation: Situation) -> dict[str, Any]:
    """The answer as plain data: options by expected loss, the best one, costs and warnings.

    Every option is compared with the natural baseline at the same parameters and tokens: expected
    loss and its difference with intervals, the probability of being the best, equal-loss speed-up,
    tokens to generate, money and GPU-hours. One mixture alone gives its expected loss and the
    compute-optimal split. Raises UsageError when `laws` cannot answer, and for an absurd question.
    """
    if not laws:
        raise UsageError("found no laws; expected those of at least one mixture")
    require_sane(laws, situation)
    plain = predictors(laws, situation.params, situation.tokens)
    by_share = ratio_options([law for law in laws if law.law == "ratio"], situation)
    # Where mixtures were run at several sizes they are what is chosen among; shares stand apart.
    options = [] if plain else by_share
    alone: Option | None = None
    if len(plain) == 1 and situation.baseline in (None, plain[0].name):
        alone = option_of(plain[0], vectors_of(plain[0].law), situation)
    elif plain:
        options = mixture_options(plain, baseline_of(plain, situation.baseline), situation)
    chances, base_chance = probabilities_best(options) if options else ([], None)
    order = [int(i) for i in np.argsort([option.losses[0] for option in options], kind="stable")]
    rows = [_row(options[i], chances[i], situation) for i in order]
    first = options[order[0]] if options else alone
    assert first is not None
    base = alone if alone is not None else first.baseline
    better = base is None or first.losses[0] < base.losses[0]
    base_row = None if base is None else _baseline_row(base, base_chance, situation)
    best = None
    if options and better:
        best = {**rows[0], "break_even_tokens": _break_even(first, situation)}
    result: dict[str, Any] = {
        "params": situation.params,
        "tokens": situation.tokens,
        "natural_tokens": situation.natural_tokens,
        "level": _level(best, base_row, first.predictor, situation),
        "law": first.predictor.kind,
        "interval_level": first.predictor.law.level if len(first.losses) > 1 else None,
        "baseline": base_row,
        "best": best,
        "options": rows,
        "ratios": _ratios(rows, base_row),
        "shares": share_rows(by_share, situation),
        "repetition": _repetition(options, situation),
        "compute_optimal": compute_optimal(
            first.predictor.law, situation.params, situation.tokens, first.predictor.share
        ),
        "resolvable_difference": _resolvable(alone),
        "extrapolation": first.predictor.law.extrapolation(
            params=situation.params, tokens=situation.tokens
        ),
        "drift": dict(first.predictor.law.drift),
        "warnings": [
            c.to_json()
            for c in cautions_of([options[i] for i in order] or [first], chances_in(order, chances),
                                 _account_of(first, situation), situation)
        ],
    }  # fmt: skip
    result["advice"] = sentence(result)
    answer: dict[str, Any] = without_infinities(result)
    return answer


def chances_in(order: Sequence[int], chances: Sequence[float | None]) -> float | None:
    """The probability of the option that comes first."""
    return chances[order[0]] if order else None


def _account_of(option: Option, situation: Situation) -> dict[str, Any] | None:
    return _equal_loss(option, tokens_for_base_loss(option, situation), situation)


def _level(
    best: dict[str, Any] | None,
    base: dict[str, Any] | None,
    predictor: Predictor,
    situation: Situation,
) -> str:
    """Whether the laws settle what is best: "supported" or "undecided"."""
    law = predictor.law
    for name, value in (("params", situation.params), ("tokens", situation.tokens)):
        far = law.extrapolation(**{name: value}).get(name, 1.0)
        if name not in law.form.inputs and far > CLOSE:
            return "undecided"
    chosen = best or base
    chance = None if chosen is None else chosen["probability_best"]
    if chance is None or chance < CONVINCING:
        return "undecided"
    if best is None or base is None:
        return "supported"
    bounds = best["difference_interval"]
    return "supported" if bounds and bounds[1] is not None and bounds[1] < 0 else "undecided"


def _ratios(rows: Sequence[dict[str, Any]], base: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Loss against the synthetic share by type, where the runs were of fixed shares."""
    kinds = sorted({row["synthetic_type"] for row in rows if row["law"] != "ratio"} - {""})
    found = []
    for kind in kinds:
        own = [row for row in rows if row["synthetic_type"] == kind]
        points = [
            {"ratio": row["synthetic_ratio"] or 0.0, "loss": row["loss"],
             "interval": row["interval"]}
            for row in [*([base] if base else []), *own]
        ]  # fmt: skip
        points.sort(key=lambda point: float(point["ratio"]))
        found.append({"synthetic_type": kind, "points": points})
    return found


def _resolvable(alone: Option | None) -> float | None:
    """The smallest difference that a second mixture, run alike, would show: sqrt(2) half-widths."""
    if alone is None:
        return None
    bounds = spread(alone.predictor.law, alone.losses)
    if bounds is None or bounds[0] is None or bounds[1] is None:
        return None
    return math.sqrt(2) * (bounds[1] - bounds[0]) / 2


def _row(option: Option, probability: float | None, situation: Situation) -> dict[str, Any]:
    law, base = option.predictor.law, option.baseline
    gap = None if base is None else option.losses - base.losses
    needed = tokens_for_base_loss(option, situation)
    forward = situation.tokens / needed
    inverse = tokens_for_mixture_loss(option, situation) / situation.tokens
    smallest = law.ranges.get("tokens", (0.0, 0.0))[0]
    faster = bool(np.isfinite(forward[0]))
    return {
        "mixture": option.predictor.name,
        "synthetic_type": option.predictor.synthetic_type,
        "synthetic_ratio": option.predictor.share,
        "ratio_interval": option.ratio_interval,
        "ratios_as_good": option.as_good,
        "law": option.predictor.kind,
        "loss": float(option.losses[0]),
        "interval": spread(law, option.losses),
        "difference": None if gap is None else float(gap[0]),
        "difference_interval": None if gap is None else spread(law, gap),
        "probability_best": probability,
        "speedup": finite(forward[0]),
        "speedup_interval": spread(law, forward) if faster else None,
        "probability_faster": float(np.mean(forward[1:] > 1)) if len(forward) > 1 else None,
        "inverse": finite(inverse[0]),
        "inverse_infinite": bool(np.isinf(inverse[0])),
        "tokens_to_baseline_loss": finite(needed[0]),
        "smallest_run": smallest,
        "speedup_shown": situation.tokens / smallest if smallest else None,
        "needs_less_than_any_run": bool(needed[0] < smallest),
        "tokens_to_generate": option.share * situation.tokens,
        "natural_epochs": epochs(situation.tokens, option.share, situation.natural_tokens),
        "fresh_token_worth": situation.sizes(option.share)["tokens"],
        "equal_loss": _equal_loss(option, needed, situation),
    }


def _equal_loss(option: Option, needed: Array, situation: Situation) -> dict[str, Any] | None:
    """The account for reaching the baseline's loss with fewer tokens; None if never reached."""
    if not np.isfinite(needed[0]):
        return None
    with np.errstate(invalid="ignore"):  # A share of 0 of what is never reached: nothing.
        generated = np.nan_to_num(option.share * needed, nan=0.0, posinf=np.inf)
    return account(situation.params, situation.tokens - needed, generated, situation.costs)


def _break_even(option: Option, situation: Situation) -> float | None:
    """The smallest budget (tokens) from which on generation pays for itself at equal loss.

    Looked for between a hundredth and a thousand times the budget; None without both prices or
    when it never pays there.
    """
    costs, baseline = situation.costs, option.baseline
    priced = costs.generator is not None and costs.training is not None
    if baseline is None or not priced or not option.predictor.law.reads("tokens"):
        return None

    def pays(tokens: float) -> bool:
        there = replace(situation, tokens=tokens)
        base = baseline.predictor.losses(baseline.vectors[:1], there.sizes(0.0))
        needed = tokens_for(option.predictor, option.vectors[:1], base, there)
        if not np.isfinite(needed[0]):
            return False
        done = account(situation.params, tokens - needed, option.share * needed, costs)
        return (done["net_money_saved"] or 0.0) > 0

    budgets = [float(t) for t in np.geomspace(situation.tokens * 1e3, situation.tokens / 100, 60)]
    first = next((i for i, tokens in enumerate(budgets) if not pays(tokens)), len(budgets))
    if first == 0:
        return None
    if first == len(budgets):
        return budgets[-1]
    low, high = budgets[first], budgets[first - 1]
    while high > low * 1.0001:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if pays(middle) else (middle, high)
    return high


def _baseline_row(base: Option, probability: float | None, situation: Situation) -> dict[str, Any]:
    """The natural mixture at the question, in the terms of the options."""
    law = base.predictor.law
    return {
        "mixture": base.predictor.name,
        "synthetic_type": base.predictor.synthetic_type,
        "synthetic_ratio": base.predictor.share,
        "law": base.predictor.kind,
        "loss": float(base.losses[0]),
        "interval": spread(law, base.losses),
        "difference": 0.0,
        "difference_interval": None,
        "probability_best": probability,
        "speedup": 1.0,
        "speedup_interval": None,
        "natural_epochs": epochs(situation.tokens, 0.0, situation.natural_tokens),
        "fresh_token_worth": situation.sizes(0.0)["tokens"],
    }


def _repetition(options: Sequence[Option], situation: Situation) -> dict[str, Any] | None:
    """Repeating natural text against adding synthetic, when the natural supply is short."""
    natural = situation.natural_tokens
    if natural is None or natural >= situation.tokens or not options:
        return None
    first = min(options, key=lambda option: float(option.losses[0]))
    base = first.baseline
    if base is None:
        return None
    asked = {"params": situation.params, "tokens": situation.tokens}
    ample = base.predictor.losses(base.vectors, asked)
    gap = first.losses - base.losses
    return {
        "epochs": situation.tokens / natural,
        "fresh_token_worth": situation.sizes(0.0)["tokens"],
        "decay": situation.decay,
        "loss_repeating_natural": float(base.losses[0]),
        "loss_with_unlimited_natural": float(ample[0]),
        "loss_adding_synthetic": float(first.losses[0]),
        "mixture": first.predictor.name,
        "difference": float(gap[0]),
        "difference_interval": spread(first.predictor.law, gap),
        "better": "synthetic" if gap[0] < 0 else "repeat",
    }
