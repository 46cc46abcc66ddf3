"""Which law answers for which mixture: joint if there is one, else the best substitute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.laws.answer.combination import implied_joint
from synthlaw.laws.lawfit import Caution, LawFit

Array = NDArray[np.float64]

NATURAL_NAMES = ("natural", "cc", "baseline", "real", "web", "none", "0%")
"""Names by which a natural mixture is known when no share says so."""


SERIOUS = frozenset(
    {
        "inconsistent-laws",
        "form-misfit",
        "rival-forms",
        "at-bound",
        "no-degrees-of-freedom",
        "few-points",
        "few-shares",
        "pooled-runs",
        "repeated-runs",
    }
)
"""Codes of a law's warnings that bear on what it advises."""


@dataclass
class Predictor:
    """A mixture and the law that predicts its loss.

    share: of synthetic tokens, None when unknown. kind: joint, data+model, data, model or ratio.
    """

    name: str
    synthetic_type: str
    share: float | None
    kind: str
    law: LawFit
    cautions: list[Caution] = field(default_factory=list)

    @property
    def natural(self) -> bool:
        """Whether this is a mixture without synthetic tokens."""
        if self.share is not None:
            return self.share == 0
        return self.name.lower() in NATURAL_NAMES

    def losses(self, vectors: Array, sizes: Mapping[str, float]) -> Array:
        """Expected losses [vectors] at `sizes` (params, tokens)."""
        inputs = dict(sizes) if self.share is None else {**sizes, "ratio": self.share}
        return self.law.evaluate(vectors, inputs)[:, 0]


def predictors(laws: Sequence[LawFit], params: float, tokens: float) -> list[Predictor]:
    """One predictor per mixture, from all laws but ratio laws, for a run of this size."""
    found = []
    for name in dict.fromkeys(law.mixture for law in laws if law.law != "ratio"):
        own = [law for law in laws if law.mixture == name and law.law != "ratio"]
        found.append(_predictor(own, params, tokens))
    return found


def _predictor(laws: Sequence[LawFit], params: float, tokens: float) -> Predictor:
    joint = [law for law in laws if law.reads("params") and law.reads("tokens")]
    data = _nearest([law for law in laws if law.law == "data"], "params", params)
    model = _nearest([law for law in laws if law.law == "model"], "tokens", tokens)
    cautions: list[Caution] = []
    if joint:
        law, kind = joint[0], "joint"
    elif data and model and "params" in data.at and "tokens" in model.at:
        law, kind = implied_joint(data, model, tolerance=0.01), "data+model"
    elif data:
        law, kind = data, "data"
        cautions += _elsewhere(data, "params", params)
    elif model:
        law, kind = model, "model"
        cautions += _elsewhere(model, "tokens", tokens)
    else:
        raise UsageError(f"'{laws[0].mixture}': found no law in params or tokens")
    cautions += serious(law)
    return Predictor(law.mixture, law.synthetic_type, law.ratio, kind, law, cautions)


def serious(law: LawFit) -> list[Caution]:
    """Warnings of a law that an answer must repeat, under the mixture's name."""
    return [
        c if c.code == "inconsistent-laws" else Caution(c.code, f"'{law.mixture}': {c.message}")
        for c in law.warnings
        if c.code in SERIOUS
    ]


def _nearest(laws: Sequence[LawFit], variable: str, value: float) -> LawFit | None:
    """The law taken nearest to `value` of the variable that it does not see."""
    if not laws:
        return None

    def distance(law: LawFit) -> float:
        if variable not in law.at:
            return np.inf
        return float(abs(np.log(law.at[variable] * law.unit[variable] / value)))

    return min(laws, key=distance)


def _elsewhere(law: LawFit, variable: str, value: float) -> list[Caution]:
    taken = law.at[variable] * law.unit[variable] if variable in law.at else None
    if taken is not None and abs(taken / value - 1) <= 0.05:
        return []
    where = "an unknown value" if taken is None else f"{taken:.3g}"
    return [
        Caution(
            "other-size",
            f"'{law.mixture}': the {law.law} law was taken at {variable} = {where} and is used at "
            f"{value:.3g}; a joint law would account for the difference",
        )
    ]


def baseline_of(found: Sequence[Predictor], name: str | None) -> Predictor:
    """The natural mixture: the one called `name`, else the one without synthetic tokens.

    Raises UsageError when there is none or more than one.
    """
    known = ", ".join(p.name for p in found)
    chosen = [p for p in found if (p.name == name if name is not None else p.natural)]
    if len(chosen) != 1:
        wanted = (
            f"the mixture '{name}'" if name is not None else "one mixture without synthetic data"
        )
        raise UsageError(
            f"baseline: found {len(chosen)} of {wanted} among {known}; expected exactly one "
            "(name it with --baseline)"
        )
    return chosen[0]
