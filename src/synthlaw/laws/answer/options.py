"""The mixtures that advice chooses among, each beside the natural baseline at the same size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from synthlaw.laws.answer.comparison import paired, size_to_reach, spread
from synthlaw.laws.answer.costs import Costs
from synthlaw.laws.answer.predictors import Predictor
from synthlaw.laws.answer.ratio import best_ratio
from synthlaw.laws.answer.supply import tokens_worth, worth
from synthlaw.laws.forms.repetition import PUBLISHED_DECAY
from synthlaw.laws.lawfit import Caution, LawFit

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


def ratio_options(laws: Sequence[LawFit], situation: Situation) -> list[Option]:
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


def probabilities_best(options: Sequence[Option]) -> list[float | None]:
    """Probability of each option to have the lowest loss of all, the baseline included."""
    rows = min(len(option.losses) for option in options)
    if rows < 2:
        return [None] * len(options)
    table = np.stack([option.losses[1:rows] for option in options])
    base = np.stack([option.base_losses[1:rows] for option in options]).min(axis=0)
    winner = np.argmin(np.concatenate([table, base[None]]), axis=0)
    return [float(np.mean(winner == i)) for i in range(len(options))]


def tokens_for_base_loss(option: Option, situation: Situation) -> Array:
    """Tokens of the mixture that reach the baseline's loss [1 + replicates]."""
    return tokens_for(option.predictor, option.vectors, option.base_losses, situation)


def tokens_for_mixture_loss(option: Option, situation: Situation) -> Array:
    """Tokens of the baseline that reach the mixture's loss [1 + replicates]."""
    return tokens_for(option.baseline, option.base_vectors, option.losses, situation)


def tokens_for(predictor: Predictor, vectors: Array, target: Array, situation: Situation) -> Array:
    """Tokens to train on for the losses `target` [vectors]; NaN for a law without tokens."""
    if not predictor.law.reads("tokens"):
        return np.full(len(target), np.nan)
    share = predictor.share or 0.0
    others = {"params": situation.params, "ratio": share}
    fresh = size_to_reach(predictor.law, vectors, target, "tokens", others)
    return tokens_worth(fresh, share, situation.natural_tokens, situation.decay)
