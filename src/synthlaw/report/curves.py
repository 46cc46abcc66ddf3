"""The numbers that the curve charts draw: fitted laws, bands, the runs beside them.

A view fixes one variable (a model size, or a token budget) and lets the other run. The law of a
mixture in a view is the one fitted at that very size or budget; where there is none, the joint law
is read there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from synthlaw.common.errors import UsageError
from synthlaw.laws.lawfit import LawFit
from synthlaw.report.artifacts import Interval, Law, RatioCurve, Run, Study

Axis = Literal["tokens", "params"]
"""The variable along x: `tokens` for data scaling, `params` for model scaling."""

LOSS_LAWS = ("data", "model", "joint")
LAW_ALONG: dict[Axis, str] = {"tokens": "data", "params": "model"}
FIXED: dict[Axis, Axis] = {"tokens": "params", "params": "tokens"}
GRID_POINTS = 40
FAR: dict[Axis, float] = {"tokens": 80.0, "params": 100.0}
"""How far beyond the largest run the last view goes: the paper's figures 1 and 2 go on from fits
up to 100B tokens to 8T, and from 2B parameters to 200B."""
SAME = 0.04
"""Sizes (or budgets) are one when they differ by less than this share: a budget is rounded to whole
batches, so 8,000 tokens asked are 8,192 run."""
LEAST_FLOOR = 1e-6
"""Fits hold E above zero; an interval from there on says only that."""
ROUND = (
    *(tuple(n / step for n in range(step, 10 * step)) for step in (10, 5, 2)),
    (1, 2, 5),
    (1, 3),
    (1,),
)
"""Labels of a decade, the finest first."""
TICK_GAP = 0.11
"""Labels nearer to each other than this share of a logarithmic axis would touch."""


@dataclass(frozen=True)
class Point:
    """One run as drawn; `held_out` when the law in this view was not fitted to it."""

    x: float
    loss: float
    run: str
    seed: str
    held_out: bool


@dataclass(frozen=True)
class MixtureCurve:
    """One mixture in one view: `x` and `loss` are empty when no law covers it.

    low, high: the law's interval, empty when it carries no bootstrap replicates. reach: the
    largest x that the law was fitted at; beyond it the curve is extrapolation. asked: the
    question's x, the advice's loss there and its interval. fit: the law as it is calculated;
    replicates: its replicates' losses [count, points], widened beyond the runs.
    """

    mixture: str
    points: Sequence[Point]
    x: Sequence[float]
    loss: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    reach: float
    law: Law | None
    asked: tuple[float, float, Interval | None] | None
    fit: LawFit | None = field(default=None, repr=False, compare=False)
    replicates: np.ndarray | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class View:
    """One chart: `fixed` is the size or budget that is held, `question` the x that was asked.

    baseline: the mixture that losses are differences to; None when they are losses. fitted: the
    largest x that was run, in the view that goes on far beyond it.
    """

    axis: Axis
    fixed: float
    curves: Sequence[MixtureCurve]
    question: float | None
    baseline: str | None = None
    fitted: float | None = None


def same(a: float, b: float) -> bool:
    """Whether two sizes or budgets are one, but for rounding."""
    return math.isclose(a, b, rel_tol=SAME)


def fit_of(law: Law) -> LawFit | None:
    """The law as the laws room calculates with it; None when its form is not one of losses.

    Ratio laws, and forms that a later version may bring, are shown in the table of laws only.
    """
    if law.law not in LOSS_LAWS:
        return None
    try:
        return LawFit.from_json(law.model_dump(exclude_none=True), law.mixture)
    except UsageError:
        return None


def law_in_view(study: Study, mixture: str, axis: Axis, fixed: float) -> Law | None:
    """The law fitted at this size or budget, else the joint law, else None."""
    for law in study.laws_of(LAW_ALONG[axis]):
        at = law.fixed_at(FIXED[axis])
        if law.mixture == mixture and at is not None and same(at, fixed):
            return law
    return next((law for law in study.laws_of("joint") if law.mixture == mixture), None)


def views(study: Study, axis: Axis, mixtures: Sequence[str]) -> list[View]:
    """One view for every size (or budget) that has runs, and one for the question's own; then the
    one to open with again, far beyond the runs. Without runs: where the laws were taken."""
    key = ("views", axis, *mixtures)
    if key not in study.kept:
        study.kept[key] = _views(study, axis, mixtures)
    found: list[View] = study.kept[key]
    return found


def _views(study: Study, axis: Axis, mixtures: Sequence[str]) -> list[View]:
    fixed_values = study.sizes() if axis == "tokens" else study.budgets()
    if not fixed_values:
        taken = (law.fixed_at(FIXED[axis]) for law in study.laws_of(LAW_ALONG[axis]))
        fixed_values = sorted({value for value in taken if value is not None})[-1:]
    question = study.advice.question if study.advice else None
    asked_fixed = getattr(question, FIXED[axis]) if question else None
    if (
        asked_fixed is not None
        and study.laws_of("joint")
        and not any(same(asked_fixed, value) for value in fixed_values)
    ):
        fixed_values = sorted([*fixed_values, asked_fixed])
    found = [_view(study, axis, value, mixtures) for value in fixed_values]
    place = default_view(found)
    far = _view(study, axis, found[place].fixed, mixtures, FAR[axis]) if found else None
    return [*found, far] if far is not None and far.fitted is not None else found


def default_view(found: Sequence[View]) -> int:
    """The view to open with: the largest size or budget with runs of the most mixtures."""
    near = [view for view in found if view.fitted is None]
    coverage = [sum(bool(curve.points) for curve in view.curves) for view in near]
    best = max(coverage, default=0)
    return max((i for i, covered in enumerate(coverage) if covered == best), default=0)


def _view(
    study: Study, axis: Axis, fixed: float, mixtures: Sequence[str], beyond: float = 1.0
) -> View:
    """beyond: how many times the largest run the curves go on to."""
    question = study.advice.question if study.advice else None
    asked_x = None
    if question is not None and same(getattr(question, FIXED[axis]), fixed):
        asked_x = float(getattr(question, axis))
    runs = [run for run in study.finished_runs() if same(getattr(run, FIXED[axis]), fixed)]
    every_x = [getattr(run, axis) for run in runs]
    if not every_x:
        every_x = study.budgets() if axis == "tokens" else study.sizes()
    if not every_x:
        every_x = [end for law in study.laws for end in _range(law, axis)]
    low, largest = min(every_x, default=1.0), max(every_x, default=0.0)
    high = max(largest * beyond, asked_x or 0.0)
    grid = np.geomspace(low * 0.9, high * 1.12, GRID_POINTS) if every_x else np.array([])
    curves = [
        _curve(study, axis, fixed, mixture=mixture, runs=runs, grid=grid, asked_x=asked_x)
        for mixture in mixtures
    ]
    covered = beyond > 1 and any(curve.x for curve in curves)
    return View(axis, fixed, curves, asked_x, fitted=largest if covered else None)


def _range(law: Law, axis: Axis) -> Sequence[float]:
    """The ends of a law's runs along `axis`, where it reads it."""
    return law.ranges.get(axis, ()) if law.law in (LAW_ALONG[axis], "joint") else ()


def _curve(
    study: Study,
    axis: Axis,
    fixed: float,
    *,
    mixture: str,
    runs: Sequence[Run],
    grid: np.ndarray,
    asked_x: float | None,
) -> MixtureCurve:
    own = [run for run in runs if run.mixture == mixture]
    law = law_in_view(study, mixture, axis, fixed)
    points = [
        Point(getattr(run, axis), run.loss, run.run, run.seed, is_held_out(run, law))
        for run in own
        if run.loss is not None
    ]
    fit = fit_of(law) if law is not None else None
    loss, low, high, replicates = _law_on_grid(fit, axis, fixed, grid)
    reach = max((point.x for point in points if not point.held_out), default=0.0)
    if law is not None and not points:
        reach = max(_range(law, axis), default=0.0)
    asked = None
    if asked_x is not None and study.advice is not None:
        for candidate in study.advice.mixtures:
            if candidate.mixture == mixture and candidate.loss is not None:
                asked = (asked_x, candidate.loss, candidate.loss_interval)
    x = grid.tolist() if len(loss) else []
    return MixtureCurve(mixture, points, x, loss, low, high, reach, law, asked, fit, replicates)


def _law_on_grid(
    fit: LawFit | None, axis: Axis, fixed: float, grid: np.ndarray
) -> tuple[list[float], list[float], list[float], np.ndarray | None]:
    """The law along the grid and, when it carries replicates, its interval there, and they."""
    if fit is None or not len(grid) or not set(fit.form.inputs) <= {axis, FIXED[axis]}:
        return [], [], [], None
    inputs: dict[str, Any] = {axis: grid, FIXED[axis]: fixed}
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        loss = fit.predict(**inputs)
        if not np.isfinite(loss).all():
            return [], [], [], None
        if fit.replicates is None or fit.replicates.shape[1] != len(fit.coefficients):
            return loss.tolist(), [], [], None
        replicates = replicates_along(fit, inputs)
        low, high = fit.interval_of_many(replicates)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return loss.tolist(), [], [], None
    return loss.tolist(), low.tolist(), high.tolist(), replicates


def replicates_along(fit: LawFit, inputs: Mapping[str, Any]) -> np.ndarray:
    """Losses of every replicate [count, points], widened where they lie beyond the runs."""
    table = fit.predict_replicates(**inputs)
    columns = np.broadcast_arrays(*inputs.values())
    for point in range(table.shape[1]):
        place = {name: float(v[point]) for name, v in zip(inputs, columns, strict=True)}
        table[:, point] *= fit.beyond(table[:, point], place)
    return table


def is_held_out(run: Run, law: Law | None) -> bool:
    """Whether the law was validated on this run instead of fitted to it."""
    if law is None or law.holdout is None:
        return False
    for row in law.holdout.rows:
        if "run" in row:
            if row["run"] == run.run:
                return True
            continue
        sizes = (row.get("params", run.params), row.get("tokens", run.tokens))
        numbers = all(isinstance(size, int | float) and size > 0 for size in sizes)
        if numbers and same(sizes[0], run.params) and same(sizes[1], run.tokens):
            return True
    return False


def floors(study: Study) -> tuple[str, list[Law]]:
    """The laws whose E is compared, and what that E is, in words.

    Joint laws when there are any: their E is the irreducible loss. Else the data laws of the
    largest size, whose E still contains the model term at that size.
    """
    joint = [law for law in study.laws_of("joint") if _has_floor(law)]
    if joint:
        return "joint", joint
    for kind, key in (("data", "params"), ("model", "tokens")):
        laws = [law for law in study.laws_of(kind) if _has_floor(law)]
        places = {id(law): place for law in laws if (place := law.fixed_at(key)) is not None}
        if places:
            largest = max(places.values())
            return kind, [law for law in laws if same(places.get(id(law), 0.0), largest)]
    return "", []


def floor_determined(law: Law) -> bool:
    """Whether the runs bound E on both sides: an interval that begins at zero bounds nothing."""
    span = law.intervals.get("E")
    if span is None:
        return True
    low, high = span
    return low is not None and high is not None and low > LEAST_FLOOR


def _has_floor(law: Law) -> bool:
    return law.coefficients.get("E") is not None


def axis_ticks(values: Sequence[float], most: int = 7) -> list[float]:
    """Labels of a logarithmic axis: the values themselves where they have room, from the largest
    down, or round values when there are too many."""
    own = sorted({value for value in values if value > 0}, reverse=True)
    if len(own) <= 1:
        return own
    low, high = own[-1], own[0]
    gap = TICK_GAP * math.log(high / low)
    kept: list[float] = []
    for value in own:
        if not kept or math.log(kept[-1] / value) >= gap:
            kept.append(value)
    if len(kept) <= most:
        return kept[::-1]
    return round_ticks(low, high, most)


def round_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round values from `low` to `high`, as many as a logarithmic axis has room for."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    inside: list[float] = []
    for steps in ROUND:
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= most:
            return inside
    return inside[:: math.ceil(len(inside) / most)]


def ratio_curves(study: Study) -> list[RatioCurve]:
    """The answer's curves over the synthetic share that have points."""
    return [curve for curve in (study.advice.ratios if study.advice else ()) if curve.points]


def ratio_types(study: Study) -> list[str]:
    """The synthetic types of those curves, in order."""
    return [curve.synthetic_type for curve in ratio_curves(study)]
