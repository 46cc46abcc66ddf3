"""Every mixture of a fitted table beside a baseline: what `fit --compare` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.laws.answer.comparison import crossings, floor_difference, ranking, speedup
from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.plain import without_infinities

TAKEN_AT = 0.05
"""A law taken within 5% of a size counts as of that size."""


def predict_all(laws: Sequence[LawFit], inputs: Mapping[str, float]) -> list[dict[str, Any]]:
    """The loss of every law at `inputs` (plain counts), with intervals and extrapolation.

    A law of one variable answers where it was taken: one taken at another value of the variable
    that it does not see is passed over. Raises UsageError when a law reads a variable that
    `inputs` lacks, when none knows one that is given, and when no law was taken there.
    """
    known = dict.fromkeys(name for law in laws for name in (*law.form.inputs, *law.at))
    for name in inputs:
        if name not in known:
            raise UsageError(f"--predict: found {name!r}; expected one of {', '.join(known)}")
    there = [law for law in laws if _taken_at(law, inputs)]
    if not there:
        places = "; ".join(f"'{law.mixture}' at {_place(law)}" for law in laws[:8])
        raise UsageError(f"--predict: found {dict(inputs)}; the laws were taken for {places}")
    return [
        {
            "mixture": law.mixture,
            "at": dict(law.at),
            **inputs,
            **law.prediction(seed=0, **inputs),
            "extrapolation": law.extrapolation(**inputs),
        }
        for law in there
    ]


def _taken_at(law: LawFit, inputs: Mapping[str, float]) -> bool:
    return all(
        name not in law.at or abs(law.at[name] * law.unit[name] / value - 1) <= TAKEN_AT
        for name, value in inputs.items()
        if name not in law.form.inputs
    )


def _place(law: LawFit) -> str:
    return ", ".join(f"{name}={law.at[name] * law.unit[name]:.4g}" for name in law.at)


def comparison_summary(laws: Sequence[LawFit], baseline: str) -> dict[str, Any]:
    """Speed-up, crossings, floors and ranks of every mixture against `baseline`.

    Laws of one variable are compared at the same value of the other; sizes that a comparison needs
    are the largest that both were fitted to. Raises UsageError when there is no such baseline.
    """
    if not any(law.mixture == baseline for law in laws):
        known = ", ".join(dict.fromkeys(law.mixture for law in laws))
        raise UsageError(f"--compare: found no mixture '{baseline}'; expected one of {known}")
    rows, ranks = [], []
    for base in [law for law in laws if law.mixture == baseline]:
        same = [law for law in laws if _meets(law, base) and law is not base]
        rows += [_pair(base, law) for law in same]
        sizes = _largest([base, *same])
        ranks.append({"at": dict(base.at), **sizes, "ranking": ranking([base, *same], **sizes)})
    found = {"baseline": baseline, "mixtures": rows, "ranks": ranks}
    plain: dict[str, Any] = without_infinities(found)
    return plain


def _meets(law: LawFit, base: LawFit) -> bool:
    """Whether two laws see the same variables and hold the others at the same value."""
    if law.form.inputs != base.form.inputs or set(law.at) != set(base.at):
        return False
    return all(abs(law.at[name] / base.at[name] - 1) <= 0.01 for name in base.at)


def _largest(laws: Sequence[LawFit]) -> dict[str, float]:
    """The largest size of each variable that all of `laws` were fitted to."""
    names = [name for name in laws[0].form.inputs if name in ("params", "tokens")]
    return {name: min(law.ranges[name][1] for law in laws) for name in names}


def _pair(base: LawFit, law: LawFit) -> dict[str, Any]:
    sizes = _largest([base, law])
    row: dict[str, Any] = {"mixture": law.mixture, "at": dict(law.at)}
    if "tokens" in sizes:
        row["speedup"] = {**sizes, **speedup(base, law, **sizes)}
    row["crossings"] = {}
    for variable in sizes:
        others = {name: value for name, value in sizes.items() if name != variable}
        found = crossings(base, law, variable, **others)
        row["crossings"][variable] = [crossing.to_json() for crossing in found]
    if "E" in base.coefficients and "E" in law.coefficients:
        row["floor_difference"] = floor_difference(law, base)
    return row
