"""Fit the repetition law: the single-epoch law first, then the two decay constants."""

from __future__ import annotations

from dataclasses import replace

from synthlaw.common.errors import UsageError
from synthlaw.laws.fit.building import (
    Options,
    Selected,
    law_from,
    problem_of,
    selected,
)
from synthlaw.laws.fit.fitting import solve
from synthlaw.laws.fit.grouping import Group
from synthlaw.laws.forms.power import JOINT
from synthlaw.laws.forms.repetition import RepetitionForm
from synthlaw.laws.lawfit import LawFit

BASE = (*JOINT.linear, *JOINT.shape)
"""Coefficients of the single-epoch law."""


def fit_repetition_group(group: Group, options: Options) -> LawFit:
    """R_D* and R_N* of one group, the single-epoch coefficients held fixed.

    These are taken from the fixed coefficients when all five are given there, and otherwise fitted
    to the runs that repeat nothing (tokens up to 1% above unique_tokens). Raises UsageError when
    the runs carry neither.
    """
    chosen = selected(group, options)
    known = {name: options.fixed[name] for name in BASE if name in options.fixed}
    base = known if len(known) == len(BASE) else _single_epoch(chosen, options)
    form = RepetitionForm(tuple(base.items()), options.unit["tokens"])
    held = replace(options, fixed={**options.fixed, **base})
    problem = problem_of(chosen, form, held)
    law = law_from(problem, solve(problem), chosen, "repetition", held)
    law.details["base"] = base
    return law


def _single_epoch(chosen: Selected, options: Options) -> dict[str, float]:
    runs = chosen.runs
    once = runs.numbers["tokens"] <= 1.01 * runs.numbers["unique_tokens"]
    part = replace(chosen, runs=runs.where(once), weights=chosen.weights[once])
    try:
        problem = problem_of(part, JOINT, options)
    except UsageError as error:
        raise UsageError(
            f"runs that repeat nothing: {error}; or give the single-epoch law as fixed "
            f"coefficients {', '.join(BASE)}"
        ) from None
    return solve(problem).coefficients(problem.unit)
