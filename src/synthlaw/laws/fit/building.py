"""One law for one group of runs: the problem, its solution, intervals, warnings, validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.common.seeds import derive_seed
from synthlaw.laws.fit.diagnostics import cautions
from synthlaw.laws.fit.distance import measured_drift
from synthlaw.laws.fit.fitting import FitProblem, Solution, coefficient_vectors, solve, solve_parts
from synthlaw.laws.fit.grouping import Group
from synthlaw.laws.fit.objectives import Objective
from synthlaw.laws.fit.profiles import profile_interval
from synthlaw.laws.fit.seednoise import seed_weights
from synthlaw.laws.fit.selection import select
from synthlaw.laws.fit.uncertainty import bootstrap, noise_of
from synthlaw.laws.fit.validation import error_by_distance, rolling, score
from synthlaw.laws.forms.power import Form
from synthlaw.laws.intervals import interval
from synthlaw.laws.lawfit import COMPUTE, Caution, LawFit, finite_pair
from synthlaw.laws.table import LeftOut, Runs

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Options:
    """How to fit: see `fit_laws`. choose: of several joint forms, by their rolling error."""

    objective: Objective
    unit: dict[str, float]
    holdout: str | None
    bootstrap: int
    seed: int
    level: float
    weighting: str
    method: str
    fixed: Mapping[str, float]
    profile: bool = False
    rolling: bool = False
    choose: bool = False


@dataclass
class LawSet(Sequence[LawFit]):
    """The laws of a table, the groups that could not be fitted, and the rows left out.

    notes: what a reader must know of how the table was read.
    """

    laws: list[LawFit]
    skipped: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.laws)

    def __getitem__(self, index: Any) -> Any:
        return self.laws[index]

    def __iter__(self) -> Iterator[LawFit]:
        return iter(self.laws)

    def to_json(self, *, replicates: int = 0) -> dict[str, Any]:
        """{"laws", "skipped", "left_out", "notes"}, each a list, as `fit --json` prints it."""
        return {
            "laws": [law.to_json(replicates=replicates) for law in self.laws],
            "skipped": self.skipped,
            "left_out": [row.to_json() for row in self.left_out],
            "notes": self.notes,
        }


@dataclass(frozen=True)
class Selected:
    """A group's runs that a fit uses, their weights, and the runs held out (None: not asked)."""

    group: Group
    runs: Runs
    weights: Array
    held_out: Runs | None


def selected(group: Group, options: Options) -> Selected:
    """Take the held-out runs from a group and weight the rest."""
    runs, held = group.runs, None
    if options.holdout is not None:
        out = select(runs, options.holdout)
        runs, held = runs.where(~out), runs.where(out)
    return Selected(group, runs, _weights(runs, options), held)


def _weights(runs: Runs, options: Options) -> Array:
    return seed_weights(runs) if options.weighting == "seeds" else np.ones(len(runs))


def fit_group(group: Group, law: str, form: Form, options: Options) -> LawFit:
    """One law for one group of runs; raises UsageError when the group cannot carry it."""
    chosen = selected(group, options)
    problem = problem_of(chosen, form, options)
    return law_from(problem, solve(problem), chosen, law, options)


def problem_of(chosen: Selected, form: Form, options: Options) -> FitProblem:
    """The fit's problem; raises UsageError when the runs cannot determine the form."""
    runs = chosen.runs
    require_enough(runs, form, options.fixed)
    return FitProblem(
        form,
        {name: runs.numbers[name] for name in form.inputs},
        runs.loss,
        chosen.weights,
        options.objective,
        {**options.unit, "unique_tokens": options.unit["tokens"]},
        options.fixed,
    )


def require_enough(runs: Runs, form: Form, fixed: Mapping[str, float]) -> None:
    """Raises UsageError when `runs` cannot determine the coefficients that are not fixed."""
    free = sum(name not in fixed for name in [*form.linear, *form.shape])
    if len(runs) == 0:
        raise UsageError("found no runs to fit: all of them are held out")
    settings = {tuple(row) for row in zip(*[runs.numbers[n] for n in form.inputs], strict=True)}
    if len(settings) < free:
        raise UsageError(
            f"found {len(runs)} points at {len(settings)} distinct settings of "
            f"{', '.join(form.inputs)}; expected at least {free}, one per coefficient"
        )
    for name in form.inputs:
        if len(np.unique(runs.numbers[name])) < 2:
            raise UsageError(
                f"found one value of {name} ({runs.numbers[name][0]:.6g}) in {len(runs)} points; "
                f"expected several, or a law without {name}"
            )


def law_from(
    problem: FitProblem, solution: Solution, chosen: Selected, law: str, options: Options
) -> LawFit:
    """The solved problem as a law, with intervals, warnings and the score on held-out runs."""
    group, runs = chosen.group, chosen.runs
    noise, degrees = noise_of(problem, solution)
    form = problem.form
    result = LawFit(
        mixture=group.name,
        law=law,
        form=form,
        coefficients=solution.coefficients(problem.unit),
        unit={n: options.unit[n] for n in ("params", "tokens")},
        points=len(runs),
        objective=options.objective.name,
        value=options.objective.reported(solution.residuals, problem.weights),
        at=group.at_json(options.unit),
        ranges=ranges_of(runs),
        synthetic_type=group.synthetic_type,
        ratio=group.ratio,
        noise=noise,
        degrees=degrees,
        level=options.level,
    )
    if options.bootstrap:
        _resample(problem, solution, result, group, options)
        result.drift = measured_drift(problem, solution, runs)
    if options.profile:
        pairs = {
            n: profile_interval(problem, solution, n, options.level)
            for n in result.coefficients
            if n not in options.fixed
        }
        result.details["profile_intervals"] = {n: finite_pair(p) for n, p in pairs.items()}
    if options.rolling:
        result.details |= _rolling(problem, chosen, law, options)
    result.warnings = cautions(problem, solution, result, runs)
    if chosen.held_out is not None:
        result.holdout = score(result, chosen.held_out)
        if len(chosen.held_out) == 0:
            result.warnings.append(
                Caution("empty-holdout", f"no run satisfies {options.holdout!r}")
            )
    return result


def _rolling(problem: FitProblem, chosen: Selected, law: str, options: Options) -> dict[str, Any]:
    """Rolling extrapolation along every size that the law reads."""
    entries = [
        entry
        for variable in problem.form.inputs
        if variable in ("params", "tokens")
        for entry in rolling(chosen.runs, variable, _part_fits(problem, chosen, law, options))
    ]
    return {"rolling": entries, "error_by_distance": error_by_distance(entries)}


def _part_fits(
    problem: FitProblem, chosen: Selected, law: str, options: Options
) -> Callable[[NDArray[np.bool_]], list[LawFit | None]]:
    """Fits of parts of the runs for their predictions alone; None where a part carries none.

    Parts are rows of [M, points], true for a run that is fitted.
    """

    def fit(parts: NDArray[np.bool_]) -> list[LawFit | None]:
        found: list[LawFit | None] = [None] * len(parts)
        able = [i for i, part in enumerate(parts) if _carries(chosen.runs.where(part), problem)]
        if not able:
            return found
        unit = {name: problem.unit[name] for name in ("params", "tokens")}
        weights = np.zeros((len(able), len(chosen.runs)))
        for row, i in zip(weights, able, strict=True):
            row[parts[i]] = _weights(chosen.runs.where(parts[i]), options)
        solutions = solve_parts(problem, weights)
        for i, solution in zip(able, solutions, strict=True):
            coefficients = solution.coefficients(problem.unit)
            about = (unit, int(parts[i].sum()), problem.objective.name, 0.0)
            found[i] = LawFit(chosen.group.name, law, problem.form, coefficients, *about)
        return found

    return fit


def _carries(runs: Runs, problem: FitProblem) -> bool:
    """Whether `runs` determine the form's coefficients."""
    try:
        require_enough(runs, problem.form, problem.fixed)
    except UsageError:
        return False
    return True


def _resample(
    problem: FitProblem, solution: Solution, result: LawFit, group: Group, options: Options
) -> None:
    """Add bootstrap replicates and the coefficients' intervals to `result`."""
    seed = derive_seed(options.seed, group.name, result.law, *sorted(group.at.items()))
    resampled = bootstrap(problem, solution, options.bootstrap, seed, options.method)
    result.method = resampled.method
    result.replicates = coefficient_vectors(
        problem.form, resampled.z, problem.reference, problem.unit
    )
    low, high = interval(
        result.replicates, options.level, resampled.method, result.points, problem.free
    )
    for i, name in enumerate(result.coefficients):
        if name not in options.fixed:
            result.intervals[name] = (float(low[i]), float(high[i]))


def ranges_of(runs: Runs) -> dict[str, tuple[float, float]]:
    """Smallest and largest finite value of each variable, and of params x tokens, as counts."""
    values = dict(runs.inputs())
    if {"params", "tokens"} <= set(values):
        values[COMPUTE] = values["params"] * values["tokens"]
    found = {}
    for name, column in values.items():
        finite = column[np.isfinite(column)]
        if len(finite):
            found[name] = (float(finite.min()), float(finite.max()))
    return found
