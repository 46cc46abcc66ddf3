"""Laws as plain data for an evaluator in another language: the explorer of a report's page.

`report/assets/answer.js` answers from this what `advice.recommend` answers from the laws. All that
is random there (the widening beyond the runs) or needs a table of Student's distribution (the
tails of an interval) is worked out here, so that both give the same numbers.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.laws.answer.combination import implied_joint
from synthlaw.laws.answer.comparison import vectors_of
from synthlaw.laws.answer.costs import FLOP_PER_PARAM_TOKEN, SENSIBLE
from synthlaw.laws.answer.predictors import NATURAL_NAMES
from synthlaw.laws.answer.sanity import ABSURD, MOST_EPOCHS, places_of
from synthlaw.laws.answer.shares import held_sizes
from synthlaw.laws.forms.power import PowerForm
from synthlaw.laws.forms.ratio_forms import AdditiveForm, Bernstein
from synthlaw.laws.forms.repetition import PUBLISHED_DECAY
from synthlaw.laws.intervals import tail_of
from synthlaw.laws.lawfit import COMPUTE, LawFit, beyond_draws

Array = NDArray[np.float64]

MOST_PAIRS = 60
"""Pairs of data and model laws that are combined ahead; more would fill a page."""


@dataclass(frozen=True)
class Case:
    """Laws that answer for model sizes within `params`; without bounds for all that are left."""

    laws: Sequence[LawFit]
    params: tuple[float, float] | None = None


def portable(cases: Sequence[Case], baseline: str | None = None) -> dict[str, Any]:
    """Laws and all else that an answer needs, as JSON.

    Raises UsageError when a law has a form that no other evaluator knows, or there are too many.
    """
    laws = [law for case in cases for law in case.laws]
    if not laws:
        raise UsageError("found no laws")
    rows = max(len(vectors_of(law)) for law in laws)
    return {
        "cases": [_case(case, rows) for case in cases],
        "baseline": baseline,
        "decay": PUBLISHED_DECAY,
        "flop": FLOP_PER_PARAM_TOKEN,
        "absurd": ABSURD,
        "epochs": MOST_EPOCHS,
        "prices": {name: list(SENSIBLE[name][:2]) for name in ("generator", "training")},
        "places": {
            name: [min(ends), max(ends)]
            for name in ("params", "tokens")
            if (ends := [end for law in laws for end in places_of(law, name)])
        },
    }


def _case(case: Case, rows: int) -> dict[str, Any]:
    ratio = [law for law in case.laws if law.law == "ratio"]
    plain = [law for law in case.laws if law.law != "ratio"]
    mixtures = []
    for name in dict.fromkeys(law.mixture for law in plain):
        choices = _choices([law for law in plain if law.mixture == name])
        mixtures.append([_choice(kind, law, at, rows) for kind, law, at in choices])
    return {
        "params": None if case.params is None else list(case.params),
        "mixtures": mixtures,
        "ratio": [_ratio(law, rows) for law in ratio],
    }


def _choices(laws: Sequence[LawFit]) -> list[tuple[str, LawFit, dict[str, float | None]]]:
    """The laws that may answer for one mixture, as `predictors` chooses among them by place."""
    joint = [law for law in laws if law.reads("params") and law.reads("tokens")]
    if joint:
        return [("joint", joint[0], {})]
    data = [law for law in laws if law.law == "data"]
    model = [law for law in laws if law.law == "model"]
    if any("params" in law.at for law in data) and any("tokens" in law.at for law in model):
        pairs = [(d, m) for d in data if "params" in d.at for m in model if "tokens" in m.at]
        if len(pairs) > MOST_PAIRS:
            raise UsageError(f"{len(pairs)} pairs of a data and a model law of '{laws[0].mixture}'")
        return [
            (
                "data+model",
                implied_joint(d, m, tolerance=0.01),
                {"params": _place(d, "params"), "tokens": _place(m, "tokens")},
            )
            for d, m in pairs
        ]
    if data:
        return [("data", law, {"params": _place(law, "params")}) for law in data]
    if model:
        return [("model", law, {"tokens": _place(law, "tokens")}) for law in model]
    raise UsageError(f"'{laws[0].mixture}': found no law in params or tokens")


def _place(law: LawFit, name: str) -> float | None:
    return law.at[name] * law.unit[name] if name in law.at else None


def _choice(kind: str, law: LawFit, at: Mapping[str, float | None], rows: int) -> dict[str, Any]:
    if law.rivals:
        raise UsageError(f"the law of '{law.mixture}' has rivals of other forms")
    return {"kind": kind, "near": dict(at), **_law(law, rows)}


def _ratio(law: LawFit, rows: int) -> dict[str, Any]:
    return {
        **_law(law, rows),
        "shares": list(law.ranges.get("ratio", (0.0, 1.0))),
        "held": held_sizes(law),
        "rivals": [_law(rival, rows) for rival in law.rivals],
    }


def _law(law: LawFit, rows: int) -> dict[str, Any]:
    natural = law.ratio == 0 if law.ratio is not None else law.mixture.lower() in NATURAL_NAMES
    vectors = vectors_of(law)
    return {
        "mixture": law.mixture,
        "type": law.synthetic_type,
        "share": law.ratio,
        "natural": natural,
        "law": law.law,
        "form": _form(law),
        "unit": dict(law.unit),
        "at": {name: value * law.unit[name] for name, value in law.at.items() if name in law.unit},
        "ranges": {name: list(pair) for name, pair in law.ranges.items()},
        "drift": {
            **{name: law.drift_in(name) for name in ("params", "tokens")},
            COMPUTE: law.drift.get(COMPUTE, 0.0),
        },
        "level": law.level,
        "tail": tail_of(law.level, law.method, law.points, law.count_free),
        "rows": len(vectors),
        "vectors": [_packed(column) for column in vectors.T],
        "draws": _packed(beyond_draws(law, rows - 1)),
    }


def _form(law: LawFit) -> dict[str, Any]:
    """A form as the evaluator builds it."""
    form = law.form
    if isinstance(form, AdditiveForm):
        names = [name for name in form.inputs if name != "ratio"]
        return {"kind": "additive", "inputs": list(form.inputs), "sizes": names}
    basis = form.ratio_basis if isinstance(form, PowerForm) else None
    if not isinstance(form, PowerForm) or not (basis is None or isinstance(basis, Bernstein)):
        raise UsageError(f"the form {form.name} of '{law.mixture}' is not a plain power law")
    return {
        "kind": "power",
        "inputs": list(form.inputs),
        "terms": [[term.variable, term.exponent] for term in form.terms],
        "parts": [[part.term, part.basis] for part in form.parts],
        "basis": None if basis is None else [basis.top, basis.power],
    }


def _packed(values: Array) -> float | str:
    """Numbers as base64 of little-endian doubles; one number where all are the same."""
    if len(values) and (values == values[0]).all():
        return float(values[0])
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f8").tobytes()).decode("ascii")
