"""Which joint form: that of the smallest error in foretelling larger runs, not of the best fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.laws.fit.building import Options, Selected, law_from, problem_of, selected
from synthlaw.laws.fit.distance import errors_by_run
from synthlaw.laws.fit.fitting import FitProblem, Solution, solve
from synthlaw.laws.fit.grouping import Group
from synthlaw.laws.fit.ratio_fit import indistinguishable
from synthlaw.laws.forms.catalogue import form_named
from synthlaw.laws.forms.power import Form
from synthlaw.laws.lawfit import Caution, LawFit

Array = NDArray[np.float64]
Trial = tuple[FitProblem, Solution, Array]

CANDIDATES = ("joint", "interaction", "coupled", "varying")
"""The joint forms that compete, by name."""


def joint_forms(unit: float) -> list[Form]:
    """The joint forms that compete, for coefficients in `unit`."""
    return [form_named(name, unit=unit) for name in CANDIDATES]


def fit_chosen_group(group: Group, options: Options) -> LawFit:
    """The joint law of one group in the form that foretells its larger runs best.

    Fits to the runs below several cuts in compute foretell those beyond. Of the forms whose error
    lies within one standard error of the smallest the one of fewest coefficients is the law, the
    others its rivals. Raises UsageError when the runs carry none.
    """
    chosen = selected(group, options)
    trials = _trials(chosen, options)
    equal = indistinguishable(trials)
    bare = replace(options, holdout=None, profile=False, rolling=False)
    law, *law.rivals = [
        law_from(trials[i][0], trials[i][1], chosen, "joint", options if i == equal[0] else bare)
        for i in equal
    ]
    errors = {problem.form.name: float(np.mean(beyond)) for problem, _, beyond in trials}
    law.details["candidates"] = [
        {
            "form": problem.form.name,
            "coefficients": problem.free,
            "rolling_error": errors[problem.form.name] if np.isfinite(beyond).all() else None,
            "value": solution.value,
        }
        for problem, solution, beyond in trials
    ]
    if law.rivals:
        told = ", ".join(f"{one.form.name} ({errors[one.form.name]:.2%})" for one in law.rivals)
        law.warnings.append(
            Caution(
                "rival-forms",
                f"of the forms tried, {told} foretold larger runs no worse than "
                f"{law.form.name} ({errors[law.form.name]:.2%}); intervals span them",
            )
        )
    return law


def _trials(chosen: Selected, options: Options) -> list[Trial]:
    """Every form that the runs carry: its fit, and its error at each run foretold [runs].

    Where the runs are too few to foretell any, only the first form, with an infinite error.
    """
    fits, refused = [], "found no form"
    for form in joint_forms(options.unit["tokens"]):
        if not set(options.fixed) <= {*form.linear, *form.shape}:
            continue
        try:
            problem = problem_of(chosen, form, options)
        except UsageError as error:
            refused = str(error)
            continue
        fits.append((problem, solve(problem)))
    if not fits:
        raise UsageError(refused)
    compute = chosen.runs.numbers["params"] * chosen.runs.numbers["tokens"]
    most = max((problem for problem, _ in fits), key=lambda problem: problem.free)
    errors = [errors_by_run(problem, solution, compute, most) for problem, solution in fits]
    told = np.isfinite(errors).any(axis=0)
    if told.sum() < 2:
        return [(*fits[0], np.full(1, np.inf))]
    return [(*one, error[told]) for one, error in zip(fits, errors, strict=True)]
