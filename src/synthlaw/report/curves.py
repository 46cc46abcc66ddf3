"""The numbers that the curve charts draw: fitted laws, bands, the runs beside them.

A view fixes one variable (a model size, or a token budget) and lets the other run. The law of a
mixture in a view is the one fitted at that very size or budget; where there is none, the joint law
is read there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from synthlaw.report.artifacts import Interval, Law, Run, Study

Axis = Literal["tokens", "params"]
"""The variable along x: `tokens` for data scaling, `params` for model scaling."""

LAW_ALONG: dict[Axis, str] = {"tokens": "data", "params": "model"}
FIXED: dict[Axis, Axis] = {"tokens": "params", "params": "tokens"}
TERMS: dict[Axis, tuple[str, str]] = {"tokens": ("B", "beta"), "params": ("A", "alpha")}
GRID_POINTS = 60
SAME = 0.01
"""Two sizes or budgets are the same when they differ by less than this share."""
CREDIBLE = (2.5, 97.5)
TICK_GAP = 1.35
"""Neighbouring labels on a logarithmic axis touch when their values are closer than this."""


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

    low, high: the band, empty when the law carries no bootstrap draws. reach: the largest x that
    has a run; beyond it the curve is extrapolation. asked: the advice's interval at the question.
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


@dataclass(frozen=True)
class View:
    """One chart: `fixed` is the size or budget that is held."""

    axis: Axis
    fixed: float
    curves: Sequence[MixtureCurve]
    question: float | None


def same(a: float, b: float) -> bool:
    """Whether two sizes or budgets are one, but for rounding."""
    return math.isclose(a, b, rel_tol=SAME)


def law_loss(
    law: Law,
    params: np.ndarray | float,
    tokens: np.ndarray | float,
    coefficients: dict[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Loss in nats per token: E + A/(params/unit)^alpha + B/(tokens/unit)^beta, present terms only.

    coefficients: draws to use in place of the law's own, of shape (draws, 1) against a grid.
    """
    values = law.coefficients if coefficients is None else coefficients

    def get(name: str) -> np.ndarray:
        value = values.get(name)
        return np.asarray(0.0 if value is None else value, dtype=float)

    loss = get("E")
    with np.errstate(over="ignore", divide="ignore"):
        if "A" in values:
            loss = loss + get("A") / (np.asarray(params) / law.unit.params) ** get("alpha")
        if "B" in values:
            loss = loss + get("B") / (np.asarray(tokens) / law.unit.tokens) ** get("beta")
    return np.asarray(loss, dtype=float)


def has_terms(law: Law, *axes: Axis) -> bool:
    """Whether the law's floor and its terms along all of `axes` have finite coefficients."""
    names = ["E", *(name for axis in axes for name in TERMS[axis])]
    return all(law.coefficients.get(name) is not None for name in names)


def law_in_view(study: Study, mixture: str, axis: Axis, fixed: float) -> Law | None:
    """The law fitted at this size or budget, else the joint law, else None."""
    for law in study.laws_of(LAW_ALONG[axis]):
        at = law.at.get(FIXED[axis])
        if law.mixture == mixture and at is not None and same(at, fixed) and has_terms(law, axis):
            return law
    for law in study.laws_of("joint"):
        if law.mixture == mixture and has_terms(law, "tokens", "params"):
            return law
    return None


def views(study: Study, axis: Axis, mixtures: Sequence[str]) -> list[View]:
    """One view for every size (or budget) that has runs, and one for the question's own."""
    fixed_values = study.sizes() if axis == "tokens" else study.budgets()
    question = study.advice.question if study.advice else None
    asked_fixed = getattr(question, FIXED[axis]) if question else None
    if (
        asked_fixed is not None
        and study.laws_of("joint")
        and not any(same(asked_fixed, value) for value in fixed_values)
    ):
        fixed_values = sorted([*fixed_values, asked_fixed])
    return [_view(study, axis, value, mixtures) for value in fixed_values]


def default_view(found: Sequence[View]) -> int:
    """The view to open with: the largest size or budget with runs of the most mixtures."""
    coverage = [sum(bool(curve.points) for curve in view.curves) for view in found]
    best = max(coverage, default=0)
    return max((i for i, covered in enumerate(coverage) if covered == best), default=0)


def _view(study: Study, axis: Axis, fixed: float, mixtures: Sequence[str]) -> View:
    question = study.advice.question if study.advice else None
    asked_x = None
    if question is not None and same(getattr(question, FIXED[axis]), fixed):
        asked_x = float(getattr(question, axis))
    runs = [run for run in study.finished_runs() if same(getattr(run, FIXED[axis]), fixed)]
    every_x = [getattr(run, axis) for run in runs]
    if not every_x:
        every_x = study.budgets() if axis == "tokens" else study.sizes()
    low = min(every_x, default=1.0)
    high = max([*every_x, asked_x or 0.0])
    grid = np.geomspace(low * 0.9, high * 1.12, GRID_POINTS) if every_x else np.array([])
    curves = [
        _curve(study, axis, fixed, mixture=mixture, runs=runs, grid=grid, asked_x=asked_x)
        for mixture in mixtures
    ]
    return View(axis, fixed, curves, asked_x)


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
    loss, low, high = _law_on_grid(law, axis, fixed, grid)
    reach = max((point.x for point in points), default=0.0)
    asked = None
    if asked_x is not None and study.advice is not None:
        for candidate in study.advice.mixtures:
            if candidate.mixture == mixture and candidate.loss is not None:
                asked = (asked_x, candidate.loss, candidate.loss_interval)
    x = grid.tolist() if len(loss) else []
    return MixtureCurve(mixture, points, x, loss, low, high, reach, law, asked)


def _law_on_grid(
    law: Law | None, axis: Axis, fixed: float, grid: np.ndarray
) -> tuple[list[float], list[float], list[float]]:
    """The law along the grid and, when it carries draws, the 95% band around it."""
    if law is None or not len(grid):
        return [], [], []
    params, tokens = (fixed, grid) if axis == "tokens" else (grid, fixed)
    loss = law_loss(law, params, tokens)
    if not np.isfinite(loss).all():
        return [], [], []
    draws = _draws(law)
    if draws is None:
        return loss.tolist(), [], []
    band = np.nanpercentile(law_loss(law, params, tokens, draws), CREDIBLE, axis=0)
    if not np.isfinite(band).all():
        return loss.tolist(), [], []
    return loss.tolist(), band[0].tolist(), band[1].tolist()


def _draws(law: Law) -> dict[str, np.ndarray] | None:
    """Bootstrap draws as columns, when every coefficient has them in equal number."""
    if not law.draws or set(law.draws) < set(law.coefficients):
        return None
    if len({len(values) for values in law.draws.values()} - {0}) != 1:
        return None
    return {name: np.asarray(values, float)[:, None] for name, values in law.draws.items()}


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
    joint = [law for law in study.laws_of("joint") if has_terms(law)]
    if joint:
        return "joint", joint
    for kind, key in (("data", "params"), ("model", "tokens")):
        laws = [law for law in study.laws_of(kind) if has_terms(law) and law.at.get(key)]
        if laws:
            largest = max(law.at[key] for law in laws)
            return kind, [law for law in laws if same(law.at[key], largest)]
    return "", []


def axis_ticks(values: Sequence[float], most: int = 7) -> list[float]:
    """Labels of a logarithmic axis: the values themselves, or round ones when they are many."""
    own = sorted(set(values))
    if len(own) <= most and all(b / a > TICK_GAP for a, b in pairwise(own)):
        return own
    low, high = own[0], own[-1]
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= most:
            return inside
    return inside[:: math.ceil(len(inside) / most)]
