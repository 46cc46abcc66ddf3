"""The mixtures that advice chooses among, each beside the natural baseline at the same size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.laws.answer.comparison import paired, size_to_reach, spread
from synthlaw.laws.answer.costs import Costs
from synthlaw.laws.answer.predictors import Predictor, serious
from synthlaw.laws.answer.supply import tokens_worth, worth
from synthlaw.laws.forms.repetition import DECAY_BOUNDS, PUBLISHED_DECAY
from synthlaw.laws.lawfit import Caution, LawFit
from synthlaw.laws.shares import best_ratio, tried_natural

Array = NDArray[np.float64]


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

    def __post_init__(self) -> None:
        if not DECAY_BOUNDS[0] <= self.decay <= DECAY_BOUNDS[1]:
            raise UsageError(
                f"decay: found {self.decay:g}; expected R_D* in epochs, {DECAY_BOUNDS[0]:g} to "
                f"{DECAY_BOUNDS[1]:g}"
            )

    def sizes(self, share: float) -> dict[str, float]:
        """Params and the fresh tokens that the budget is worth with this synthetic share."""
        return {
            "params": self.params,
            "tokens": worth(self.tokens, share, self.natural_tokens, self.decay),
        }


@dataclass
class Option:
    """A mixture under consideration, beside the baseline's, paired.

    losses: [1 + replicates] at the question, widened where that lies beyond the runs; factors: by
    how much. baseline, base_*: None where natural text alone was not run.
    """

    predictor: Predictor
    vectors: Array
    losses: Array
    factors: Array
    baseline: Option | None = None
    ratio_interval: list[float] | None = None
    as_good: list[float] | None = None

    @property
    def share(self) -> float:
        """Synthetic share; 0 when unknown."""
        return self.predictor.share or 0.0


def option_of(predictor: Predictor, vectors: Array, situation: Situation) -> Option:
    """A mixture at the question, its replicates widened by the error of extrapolation."""
    sizes = situation.sizes(predictor.share or 0.0)
    losses = predictor.losses(vectors, sizes)
    asked = {"params": situation.params, "tokens": situation.tokens}
    factors = np.ones(len(losses))
    factors[1:] = predictor.law.beyond(losses[1:], asked)
    return Option(predictor, vectors, losses * factors, factors)


def mixture_options(
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
        option = option_of(predictor, own, situation)
        option.baseline = option_of(baseline, base, situation)
        found.append(option)
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


def ratio_options(laws: Sequence[LawFit], situation: Situation) -> list[Option]:
    """For each ratio law, the best share that was tried, natural supply accounted for."""
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
        (vectors,) = paired(law)
        own = Predictor(f"{share:.0%} {kind}", kind, share, "ratio", law, serious(law))
        option = option_of(own, vectors, situation)
        option.ratio_interval, option.as_good = best["interval"], best["as_good"]
        if tried_natural(law):
            base = Predictor("natural", "natural", 0.0, "ratio", law)
            option.baseline = option_of(base, vectors, situation)
        found.append(option)
    return found


def probabilities_best(options: Sequence[Option]) -> tuple[list[float | None], float | None]:
    """Probability of each option, and of the baseline, to have the lowest loss of all."""
    bases = [option.baseline for option in options if option.baseline is not None]
    rows = min(len(option.losses) for option in [*options, *bases])
    if rows < 2:
        return [None] * len(options), None
    table = np.stack([option.losses[1:rows] for option in options])
    if bases:
        base = np.stack([option.losses[1:rows] for option in bases]).min(axis=0)
        table = np.concatenate([table, base[None]])
    winner = np.argmin(table, axis=0)
    chances = [float(np.mean(winner == i)) for i in range(len(options))]
    return list(chances), float(np.mean(winner == len(options))) if bases else None


def tokens_for_base_loss(option: Option, situation: Situation) -> Array:
    """Tokens of the mixture that reach the baseline's loss [1 + replicates]."""
    if option.baseline is None:
        return np.full(len(option.losses), np.nan)
    target = option.baseline.losses / option.factors
    return tokens_for(option.predictor, option.vectors, target, situation)


def tokens_for_mixture_loss(option: Option, situation: Situation) -> Array:
    """Tokens of the baseline that reach the mixture's loss [1 + replicates]."""
    base = option.baseline
    if base is None:
        return np.full(len(option.losses), np.nan)
    return tokens_for(base.predictor, base.vectors, option.losses / base.factors, situation)


def tokens_for(predictor: Predictor, vectors: Array, target: Array, situation: Situation) -> Array:
    """Tokens to train on for the losses `target` [vectors]; NaN for a law without tokens."""
    if not predictor.law.reads("tokens"):
        return np.full(len(target), np.nan)
    share = predictor.share or 0.0
    others = {"params": situation.params, "ratio": share}
    fresh = size_to_reach(predictor.law, vectors, target, "tokens", others)
    return tokens_worth(fresh, share, situation.natural_tokens, situation.decay)
