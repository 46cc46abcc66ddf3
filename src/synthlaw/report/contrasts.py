"""Curves as differences to the baseline: where mixtures nearly coincide, and where they cross."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from synthlaw.report.artifacts import Candidate, Interval, Study
from synthlaw.report.curves import MixtureCurve, Point, View


def against_baseline(study: Study, view: View, baseline: str | None) -> View | None:
    """The view with every loss minus the baseline's at the same place; None without a baseline.

    A run is compared with the mean of the baseline's runs of its size and budget, a law with the
    baseline's law. Intervals are of the difference, with replicates paired by number.
    """
    base = next((curve for curve in view.curves if curve.mixture == baseline), None)
    if base is None or not (base.points or base.x):
        return None
    means = _means(base.points)
    advised = {row.mixture: row for row in (study.advice.mixtures if study.advice else ())}
    curves = [
        _difference(view, curve, base, means, advised.get(curve.mixture)) for curve in view.curves
    ]
    return replace(view, curves=curves, baseline=baseline)


def _means(points: Sequence[Point]) -> dict[float, float]:
    losses: dict[float, list[float]] = defaultdict(list)
    for point in points:
        losses[point.x].append(point.loss)
    return {x: sum(values) / len(values) for x, values in losses.items()}


def _difference(
    view: View,
    curve: MixtureCurve,
    base: MixtureCurve,
    means: Mapping[float, float],
    advised: Candidate | None,
) -> MixtureCurve:
    points = [
        replace(point, loss=point.loss - means[point.x])
        for point in curve.points
        if point.x in means
    ]
    covered = bool(curve.loss and base.loss)
    loss = np.subtract(curve.loss, base.loss).tolist() if covered else []
    low, high = _band(curve, base) if covered and curve is not base else ([], [])
    asked: tuple[float, float, Interval | None] | None = None
    if view.question is not None and advised is not None and advised.difference is not None:
        asked = (view.question, advised.difference, advised.difference_interval)
    return replace(
        curve,
        points=points,
        x=curve.x if covered else [],
        loss=loss,
        low=low,
        high=high,
        asked=asked,
    )


def _band(curve: MixtureCurve, base: MixtureCurve) -> tuple[list[float], list[float]]:
    """The interval of the difference of two laws; empty unless both carry replicates."""
    if curve.fit is None or curve.replicates is None or base.replicates is None:
        return [], []
    rows = min(len(curve.replicates), len(base.replicates))
    low, high = curve.fit.interval_of_many(curve.replicates[:rows] - base.replicates[:rows])
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return [], []
    return low.tolist(), high.tolist()
