"""Fit ratio laws: gather a synthetic type with the natural runs, let held-out error choose."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.common.seeds import derive_seed
from synthlaw.laws.fit.building import Options, law_from, problem_of, selected
from synthlaw.laws.fit.fitting import FitProblem, Solution, solve
from synthlaw.laws.fit.grouping import SAME_SIZE, Group, mixture_names
from synthlaw.laws.fit.uncertainty import noise_of, refit
from synthlaw.laws.forms.power import Form
from synthlaw.laws.forms.ratio_forms import candidates
from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.shares import best_ratio
from synthlaw.laws.table import Runs

Array = NDArray[np.float64]

FOLDS = 10


def ratio_groups(runs: Runs, by: str | None, origin: str) -> list[Group]:
    """A group per synthetic type (or value of `by`), each with the runs of share 0.

    A size that the type's own runs have one value of is held there: natural runs of other sizes
    would say how loss falls with it, and nothing of how the share changes that.
    """
    column = by or ("synthetic_type" if "synthetic_type" in runs.texts else None)
    share = runs.numbers["ratio"]
    names = np.full(len(runs), "all") if column is None else mixture_names(runs, column, origin)
    kinds = list(dict.fromkeys(names[share > 0])) or list(dict.fromkeys(names))
    found = []
    for kind in kinds:
        own = (names == kind) & (share > 0)
        own = own if own.any() else names == kind
        keep = (names == kind) | (share == 0)
        held: dict[str, float] = {}
        for n in ("params", "tokens"):
            if n in runs.numbers and not varies(runs.numbers[n][own]):
                held[n] = float(runs.numbers[n][own].mean())
                keep &= np.abs(runs.numbers[n] - held[n]) <= SAME_SIZE * held[n]
        part = runs.where(keep)
        found.append(Group(str(kind), held, part, str(kind) if column else "", None))
    return found


def varies(values: Array) -> bool:
    """Whether a size takes more than one value, up to SAME_SIZE."""
    return bool(values.max() > values.min() * (1 + SAME_SIZE))


def sizes_of(runs: Runs) -> str:
    """Letters of the sizes that vary among the runs: "", "n", "d" or "nd"."""
    found = [("n", "params"), ("d", "tokens")]
    return "".join(c for c, name in found if name in runs.numbers and varies(runs.numbers[name]))


def forms_for(runs: Runs, form: Form | None) -> list[Form]:
    """The forms to try on `runs`: the one asked for, or all candidates."""
    if form is not None:
        return [form]
    return candidates(sizes_of(runs), len(np.unique(runs.numbers["ratio"])))


def fit_ratio_group(group: Group, options: Options, form: Form | None) -> LawFit:
    """The ratio law of one group: every candidate form is fitted, held-out error chooses.

    Raises UsageError when the runs can carry none of them.
    """
    chosen = selected(group, options)
    forms = [
        candidate
        for candidate in forms_for(chosen.runs, form)
        if set(options.fixed) <= {*candidate.linear, *candidate.shape}
    ]
    bare = replace(options, holdout=None, profile=False, rolling=False)
    trials, refused = [], f"no form has all of {', '.join(options.fixed)}"
    for candidate in forms:
        try:
            problem = problem_of(chosen, candidate, options)
        except UsageError as error:
            refused = str(error)
            continue
        solution = solve(problem)
        trials.append((problem, solution, held_out_errors(problem, solution, options.seed)))
    if not trials:
        raise UsageError(refused)
    equal = indistinguishable(trials)
    law, *rivals = [
        law_from(trials[i][0], trials[i][1], chosen, "ratio", options if i == equal[0] else bare)
        for i in equal
    ]
    law.rivals = rivals
    law.details["candidates"] = [
        {
            "form": tried.form.name,
            "coefficients": tried.free,
            "held_out_error": float(np.mean(errors)) if np.isfinite(errors).all() else None,
            "value": found.value,
        }
        for tried, found, errors in trials
    ]
    law.details["good_ratio"] = good_ratios(law)
    return law


def good_ratios(law: LawFit) -> list[dict[str, Any]]:
    """The best share at the smallest, middle and largest of every size that the law reads."""
    names = [name for name in ("params", "tokens") if law.reads(name)]
    axes = [np.geomspace(*law.ranges[name], 3) for name in names]
    found = []
    for values in itertools.product(*axes):
        sizes = {name: float(value) for name, value in zip(names, values, strict=True)}
        found.append({**sizes, **best_ratio(law, worth=None, **sizes)})
    return found


def held_out_errors(problem: FitProblem, solution: Solution, seed: int) -> Array:
    """|log residual| of every run when its fold is left out of the fit [points].

    Folds hold whole settings, so that no repeated seed is on both sides. Infinite where a fold
    leaves fewer settings than coefficients.
    """
    keys = np.stack([problem.inputs[name] for name in problem.form.inputs], axis=1)
    _, setting = np.unique(keys, axis=0, return_inverse=True)
    setting = setting.reshape(-1)
    settings = int(setting.max()) + 1
    folds = min(FOLDS, settings) if settings > 30 else settings
    order = np.random.default_rng(derive_seed(seed, "laws", "folds")).permutation(settings)
    fold = np.empty(settings, dtype=int)
    fold[order] = np.arange(settings) % folds
    out = fold[setting][None] == np.arange(folds)[:, None]
    points = len(setting)
    if settings - np.bincount(fold).max() < problem.free:
        return np.full(points, np.inf)
    weights = np.where(out, 0.0, problem.weights)
    start = np.repeat(solution.z[None], folds, axis=0)
    z = refit(problem.problem(weights=weights), start, noise_of(problem, solution)[0])
    predicted, _ = problem.bound.evaluate(z)
    with np.errstate(divide="ignore"):
        errors = np.abs(np.log(predicted / problem.observed))
    result: Array = errors[fold[setting], np.arange(points)]
    return result


def indistinguishable(trials: list[tuple[FitProblem, Solution, Array]]) -> list[int]:
    """Forms whose held-out error is within one standard error of the smallest, simplest first.

    The standard error is that of the paired difference between two forms' errors, run by run.
    """
    means = [float(np.mean(errors)) for _, _, errors in trials]
    best = int(np.argmin(means))
    if not np.isfinite(means[best]):
        return [int(np.argmin([problem.free for problem, _, _ in trials]))]
    level = []
    for i, (problem, _, errors) in enumerate(trials):
        if not np.isfinite(means[i]):
            continue
        gap = errors - trials[best][2]
        if means[i] - means[best] <= float(np.std(gap, ddof=1) / np.sqrt(len(gap))):
            level.append((problem.free, means[i], i))
    return [i for _, _, i in sorted(level)]
