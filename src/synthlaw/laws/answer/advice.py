"""`recommend`: which synthetic type and share for a run, what it gains, what it costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.laws.answer.comparison import finite, spread
from synthlaw.laws.answer.costs import account
from synthlaw.laws.answer.options import (
    Option,
    Situation,
    mixture_options,
    probabilities_best,
    ratio_options,
    tokens_for,
    tokens_for_base_loss,
    tokens_for_mixture_loss,
)
from synthlaw.laws.answer.predictors import baseline_of, predictors
from synthlaw.laws.answer.supply import epochs
from synthlaw.laws.lawfit import Caution, LawFit
from synthlaw.laws.plain import without_infinities

Array = NDArray[np.float64]

FAR = 2.0
"""Extrapolating a size by more than this factor is a warning."""


def recommend(laws: Sequence[LawFit], situation: Situation) -> dict[str, Any]:
    """The advice as plain data: options by expected loss, the best one, costs and warnings.

    Every option is compared with the natural baseline at the same parameters and tokens: expected
    loss and its difference with intervals, the probability of being the best, equal-loss speed-up,
    tokens to generate, money and GPU-hours. Raises UsageError when `laws` cannot answer.
    """
    if not laws:
        raise UsageError("found no laws; expected at least two mixtures to compare")
    plain = predictors(laws, situation.params, situation.tokens)
    options = ratio_options([law for law in laws if law.law == "ratio"], situation)
    if plain:
        options += mixture_options(plain, baseline_of(plain, situation.baseline), situation)
    if not options:
        raise UsageError("found a baseline only; expected a mixture with synthetic data")
    probabilities = probabilities_best(options)
    order = np.argsort([option.losses[0] for option in options], kind="stable")
    rows = [_row(options[i], probabilities[i], situation) for i in order]
    best = options[order[0]]
    baseline_row = _baseline_row(best, situation)
    chosen = None
    if best.losses[0] < best.base_losses[0]:
        chosen = {**rows[0], "break_even_tokens": _break_even(best, situation)}
    result = {
        "params": situation.params,
        "tokens": situation.tokens,
        "natural_tokens": situation.natural_tokens,
        "baseline": baseline_row,
        "best": chosen,
        "options": rows,
        "repetition": _repetition(options, situation),
        "extrapolation": best.predictor.law.extrapolation(
            params=situation.params, tokens=situation.tokens
        ),
        "warnings": [c.to_json() for c in _cautions(options, order, probabilities, situation)],
    }
    result["advice"] = sentence(result)
    answer: dict[str, Any] = without_infinities(result)
    return answer


def _row(option: Option, probability: float | None, situation: Situation) -> dict[str, Any]:
    law = option.predictor.law
    gap = option.losses - option.base_losses
    needed = tokens_for_base_loss(option, situation)
    forward = situation.tokens / needed
    inverse = tokens_for_mixture_loss(option, situation) / situation.tokens
    generated = option.share * situation.tokens
    return {
        "mixture": option.predictor.name,
        "synthetic_type": option.predictor.synthetic_type,
        "synthetic_ratio": option.predictor.share,
        "ratio_interval": option.ratio_interval,
        "ratios_as_good": option.as_good,
        "law": option.predictor.kind,
        "loss": float(option.losses[0]),
        "interval": spread(law, option.losses),
        "difference": float(gap[0]),
        "difference_interval": spread(law, gap),
        "probability_best": probability,
        "speedup": float(forward[0]),
        "speedup_interval": spread(law, forward),
        "inverse": finite(inverse[0]),
        "inverse_infinite": bool(np.isinf(inverse[0])),
        "tokens_to_baseline_loss": finite(needed[0]),
        "tokens_to_generate": generated,
        "natural_epochs": epochs(situation.tokens, option.share, situation.natural_tokens),
        "fresh_token_worth": situation.sizes(option.share)["tokens"],
        "equal_loss": _equal_loss(option, needed, situation),
    }


def _equal_loss(option: Option, needed: Array, situation: Situation) -> dict[str, Any] | None:
    """The account for reaching the baseline's loss with fewer tokens; None if never reached."""
    if not np.isfinite(needed[0]):
        return None
    return account(
        situation.params, situation.tokens - needed, option.share * needed, situation.costs
    )


def _break_even(option: Option, situation: Situation) -> float | None:
    """The smallest budget (tokens) from which on generation pays for itself at equal loss.

    Looked for between a hundredth and a thousand times the budget; None without both prices or
    when it never pays there.
    """
    costs = situation.costs
    if (
        costs.generator is None
        or costs.training is None
        or not option.predictor.law.reads("tokens")
    ):
        return None

    def pays(tokens: float) -> bool:
        there = replace(situation, tokens=tokens)
        base = option.baseline.losses(option.base_vectors[:1], there.sizes(0.0))
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


def _baseline_row(option: Option, situation: Situation) -> dict[str, Any]:
    law = option.baseline.law
    return {
        "mixture": option.baseline.name,
        "law": option.baseline.kind,
        "loss": float(option.base_losses[0]),
        "interval": spread(law, option.base_losses),
        "natural_epochs": epochs(situation.tokens, 0.0, situation.natural_tokens),
        "fresh_token_worth": situation.sizes(0.0)["tokens"],
    }


def _repetition(options: Sequence[Option], situation: Situation) -> dict[str, Any] | None:
    """Repeating natural text against adding synthetic, when the natural supply is short."""
    natural = situation.natural_tokens
    if natural is None or natural >= situation.tokens:
        return None
    first = min(options, key=lambda option: float(option.losses[0]))
    base = first.baseline
    ample = base.losses(
        first.base_vectors, {"params": situation.params, "tokens": situation.tokens}
    )
    gap = first.losses - first.base_losses
    return {
        "epochs": situation.tokens / natural,
        "fresh_token_worth": situation.sizes(0.0)["tokens"],
        "decay": situation.decay,
        "loss_repeating_natural": float(first.base_losses[0]),
        "loss_with_unlimited_natural": float(ample[0]),
        "loss_adding_synthetic": float(first.losses[0]),
        "mixture": first.predictor.name,
        "difference": float(gap[0]),
        "difference_interval": spread(first.predictor.law, gap),
        "better": "synthetic" if gap[0] < 0 else "repeat",
    }


def _cautions(
    options: Sequence[Option],
    order: NDArray[np.intp],
    probabilities: Sequence[float | None],
    situation: Situation,
) -> list[Caution]:
    found: dict[tuple[str, str], Caution] = {}

    def add(*cautions: Caution) -> None:
        for caution in cautions:
            found.setdefault((caution.code, caution.message), caution)

    best = options[order[0]]
    equal = _equal_loss(best, tokens_for_base_loss(best, situation), situation)
    net = None if equal is None else equal.get("net_money_saved")
    add(*_extrapolation(best, situation))
    for i in order:
        add(*options[i].predictor.cautions, *options[i].baseline.cautions)
    sure = probabilities[order[0]]
    if sure is not None and sure < 0.9:
        add(
            Caution(
                "close-call",
                f"'{best.predictor.name}' is the best with probability "
                f"{sure:.2f}; the options below it may be as good",
            )
        )
    if all(len(option.losses) < 2 for option in options):
        add(
            Caution(
                "no-intervals",
                "the laws carry no replicates: fit with --bootstrap and --out for intervals",
            )
        )
    add(*_supply(best, situation))
    if net is not None and net <= 0:
        add(
            Caution(
                "generation-costs-more",
                f"at equal loss '{best.predictor.name}' costs {-net:.4g} more to generate than "
                "its shorter training saves",
            )
        )
    return list(found.values())


def _extrapolation(option: Option, situation: Situation) -> list[Caution]:
    law, found = option.predictor.law, []
    for name, value in (("params", situation.params), ("tokens", situation.tokens)):
        factor = law.extrapolation(**{name: value}).get(name, 1.0)
        if factor > FAR:
            low, high = law.ranges[name]
            found.append(
                Caution(
                    "extrapolation",
                    f"{name} {value:.3g} lies a factor {factor:.1f} "
                    f"outside the runs ({low:.3g} to {high:.3g})",
                )
            )
    return found


def _supply(option: Option, situation: Situation) -> list[Caution]:
    natural = situation.natural_tokens
    if natural is None:
        return []
    found = []
    seen = epochs(situation.tokens, option.share, natural) or 0.0
    if seen > 1:
        found.append(
            Caution(
                "repetition",
                f"natural tokens are seen {seen:.1f} times; their worth "
                f"uses R_D* = {situation.decay:.4g}, which the published runs hardly "
                "determine",
            )
        )
    if option.share * situation.tokens > natural:
        times = option.share * situation.tokens / natural
        found.append(
            Caution(
                "many-rephrasings",
                f"{times:.1f} synthetic tokens per natural token "
                "are needed; no run tested so many versions of one text",
            )
        )
    return found


def sentence(result: dict[str, Any]) -> str:
    """The advice in words."""
    best, base = result["best"], result["baseline"]
    if best is None:
        return (
            f"Train on natural text alone: no mixture is expected below its loss of "
            f"{base['loss']:.3f} nats per token."
        )
    text = f"Train on '{best['mixture']}': expected loss {best['loss']:.3f}"
    if best["interval"] and None not in best["interval"]:
        text += f" [{best['interval'][0]:.3f}, {best['interval'][1]:.3f}]"
    text += f" nats per token against {base['loss']:.3f} for '{base['mixture']}'"
    if np.isfinite(best["speedup"]) and best["speedup"] > 0:
        text += f", which it reaches with {best['speedup']:.2f} times fewer tokens"
    return text + "."
