"""`recommend`: which synthetic type and share for a run, what it gains, what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.laws.comparison import finite, paired, size_to_reach, spread
from synthlaw.laws.costs import Costs, account
from synthlaw.laws.lawfit import Caution, LawFit
from synthlaw.laws.predictors import Predictor, baseline_of, predictors
from synthlaw.laws.ratio import best_ratio
from synthlaw.laws.repetition import PUBLISHED_DECAY
from synthlaw.laws.supply import epochs, tokens_worth, worth

Array = NDArray[np.float64]

FAR = 2.0
"""Extrapolating a size by more than this factor is a warning."""


@dataclass(frozen=True)
class Situation:
    """The run to advise on, in plain counts.

    natural_tokens: unique natural tokens at hand, None for as many as needed. decay: R_D* of the
    repetition law. baseline: name of the natural mixture where shares do not tell.
    """

    params: float
    tokens: float
    natural_tokens: float | None = None
    costs: Costs = field(default_factory=Costs)
    baseline: str | None = None
    decay: float = PUBLISHED_DECAY

    def sizes(self, share: float) -> dict[str, float]:
        """Params and the fresh tokens that the budget is worth with this synthetic share."""
        return {
            "params": self.params,
            "tokens": worth(self.tokens, share, self.natural_tokens, self.decay),
        }


@dataclass
class Option:
    """A mixture under consideration: losses [1 + replicates], beside the baseline's, paired."""

    predictor: Predictor
    baseline: Predictor
    vectors: Array
    base_vectors: Array
    losses: Array
    base_losses: Array
    ratio_interval: list[float] | None = None
    as_good: list[float] | None = None

    @property
    def share(self) -> float:
        """Synthetic share; 0 when unknown."""
        return self.predictor.share or 0.0


def recommend(laws: Sequence[LawFit], situation: Situation) -> dict[str, Any]:
    """The advice as plain data: options by expected loss, the best one, costs and warnings.

    Every option is compared with the natural baseline at the same parameters and tokens: expected
    loss and its difference with intervals, the probability of being the best, equal-loss speed-up,
    tokens to generate, money and GPU-hours. Raises UsageError when `laws` cannot answer.
    """
    if not laws:
        raise UsageError("found no laws; expected at least two mixtures to compare")
    plain = predictors(laws, situation.params, situation.tokens)
    options = _ratio_options([law for law in laws if law.law == "ratio"], situation)
    if plain:
        options += _mixture_options(plain, baseline_of(plain, situation.baseline), situation)
    if not options:
        raise UsageError("found a baseline only; expected a mixture with synthetic data")
    probabilities = _probabilities(options)
    order = np.argsort([option.losses[0] for option in options], kind="stable")
    rows = [_row(options[i], probabilities[i], situation) for i in order]
    best = options[order[0]]
    baseline_row = _baseline_row(best, situation)
    chosen = rows[0] if best.losses[0] < best.base_losses[0] else None
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
    return result


def _mixture_options(
    plain: Sequence[Predictor], baseline: Predictor, situation: Situation
) -> list[Option]:
    """Every tested mixture beside the baseline; replicates paired by index."""
    found = []
    for predictor in plain:
        if predictor is baseline:
            continue
        if predictor.share is None:
            predictor.cautions.append(
                Caution(
                    "unknown-share",
                    f"'{predictor.name}': its synthetic share is unknown, so tokens to generate "
                    "and costs are counted as zero (give the column synthetic_ratio)",
                )
            )
        base, own = paired(baseline.law, predictor.law)
        found.append(
            Option(
                predictor,
                baseline,
                own,
                base,
                predictor.losses(own, situation.sizes(predictor.share or 0.0)),
                baseline.losses(base, situation.sizes(0.0)),
            )
        )
    for option in found:
        option.as_good = _shares_as_good(option, found)
    return found


def _shares_as_good(option: Option, options: Sequence[Option]) -> list[float] | None:
    """Smallest and largest tested share of the same type that is not significantly worse."""
    kind = option.predictor.synthetic_type
    good = []
    for other in options:
        same = other.predictor.synthetic_type == kind and kind
        if not same or other.predictor.share is None:
            continue
        rows = min(len(other.losses), len(option.losses))
        gap = other.losses[:rows] - option.losses[:rows]
        bounds = spread(option.predictor.law, gap)
        if gap[0] <= 0 or (bounds and bounds[0] is not None and bounds[0] <= 0):
            good.append(other.predictor.share)
    return [min(good), max(good)] if good else None


def _ratio_options(laws: Sequence[LawFit], situation: Situation) -> list[Option]:
    """For each ratio law, its best share at this size, natural supply accounted for."""
    found = []
    for law in laws:
        best = best_ratio(
            law,
            worth=lambda share: situation.sizes(share)["tokens"],
            params=situation.params,
            tokens=situation.tokens,
        )
        share = best["ratio"]
        kind = law.synthetic_type or law.mixture
        own = Predictor(f"{share:.0%} {kind}", kind, share, "ratio", law)
        base = Predictor("natural", "natural", 0.0, "ratio", law)
        (vectors,) = paired(law)
        found.append(
            Option(
                own,
                base,
                vectors,
                vectors,
                own.losses(vectors, situation.sizes(share)),
                base.losses(vectors, situation.sizes(0.0)),
                best["interval"],
                best["as_good"],
            )
        )
    return found


def _probabilities(options: Sequence[Option]) -> list[float | None]:
    """Probability of each option to have the lowest loss of all, the baseline included."""
    rows = min(len(option.losses) for option in options)
    if rows < 2:
        return [None] * len(options)
    table = np.stack([option.losses[1:rows] for option in options])
    base = np.stack([option.base_losses[1:rows] for option in options]).min(axis=0)
    winner = np.argmin(np.concatenate([table, base[None]]), axis=0)
    return [float(np.mean(winner == i)) for i in range(len(options))]


def _row(option: Option, probability: float | None, situation: Situation) -> dict[str, Any]:
    law = option.predictor.law
    gap = option.losses - option.base_losses
    needed = _needed(option, situation)
    forward = situation.tokens / needed
    inverse = _inverse(option, situation)
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
        "break_even_tokens": _break_even(option, situation),
    }


def _needed(option: Option, situation: Situation) -> Array:
    """Tokens of the mixture that reach the baseline's loss [1 + replicates]."""
    return _tokens_for(option.predictor, option.vectors, option.base_losses, situation)


def _inverse(option: Option, situation: Situation) -> Array:
    """Baseline tokens that reach the mixture's loss, over the budget [1 + replicates]."""
    fresh = _tokens_for(option.baseline, option.base_vectors, option.losses, situation)
    return fresh / situation.tokens


def _tokens_for(predictor: Predictor, vectors: Array, target: Array, situation: Situation) -> Array:
    if not predictor.law.reads("tokens"):
        return np.full(len(target), np.nan)
    share = predictor.share or 0.0
    others = {"params": situation.params, "ratio": share}
    fresh = size_to_reach(predictor.law, vectors, target, "tokens", others)
    return tokens_worth(fresh, share, situation.natural_tokens, situation.decay)


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
    found = None
    for tokens in np.geomspace(situation.tokens * 1e3, situation.tokens / 100, 200):
        there = Situation(
            situation.params, float(tokens), situation.natural_tokens, costs, decay=situation.decay
        )
        base = option.baseline.losses(option.base_vectors[:1], there.sizes(0.0))
        needed = _tokens_for(option.predictor, option.vectors[:1], base, there)
        if not np.isfinite(needed[0]):
            break
        done = account(situation.params, tokens - needed, option.share * needed, costs)
        if done["net_money_saved"] is None or done["net_money_saved"] <= 0:
            break
        found = float(tokens)
    return found


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
    equal = _equal_loss(best, _needed(best, situation), situation)
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
