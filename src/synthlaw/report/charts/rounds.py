"""Loss, and the share of different trigrams, against the round: what model collapse would show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from synthlaw.common.numbers import format_count
from synthlaw.report.artifacts import Study
from synthlaw.report.chart import (
    LOSS_TITLE,
    AxisSpec,
    Chart,
    Ink,
    Line,
    Mark,
    Panel,
    measured,
    type_inks,
)
from synthlaw.report.numerals import interval, number
from synthlaw.report.plotly_charts import chart_text
from synthlaw.report.round_curves import RoundPoint, round_points


def of_study(study: Study) -> Chart | None:
    """A panel of losses, and one of diversity where the statistics have it."""
    points = round_points(study)
    if not points:
        return None
    names = list(dict.fromkeys(point.chain for point in points))
    inks = type_inks(names, "round")
    panels = [_losses(points, inks)]
    if any(point.distinct is not None for point in points):
        panels.append(_diversity(points, inks))
    return Chart(panels, list(inks.items()), width=4.2, words="figure")


def _losses(points: Sequence[RoundPoint], inks: Mapping[str, Ink]) -> Panel:
    marks: list[Mark] = []
    for name, ink in inks.items():
        own = [point for point in points if point.chain == name]
        texts = [
            f"{chart_text(p.mixture)}<br>{number(p.loss)} ({interval(p.interval)}) nats per token"
            for p in own
        ]
        rounds, losses = [float(p.round) for p in own], [p.loss for p in own]
        marks += measured(ink, rounds, losses, [p.interval for p in own], texts)
    one = points[0]
    size = f"{format_count(one.params)} parameters, {format_count(one.tokens)} tokens"
    return Panel(_rounds(points), AxisSpec(LOSS_TITLE), marks, label="Loss", title=size)


def _diversity(points: Sequence[RoundPoint], inks: Mapping[str, Ink]) -> Panel:
    marks: list[Mark] = []
    for name, ink in inks.items():
        own = [p for p in points if p.chain == name and p.distinct is not None]
        texts = [f"{chart_text(p.mixture)}<br>distinct-3 {number(p.distinct)}" for p in own]
        rounds, shares = [float(p.round) for p in own], [p.distinct for p in own]
        marks.append(Line(ink, rounds, shares, width=2.25, dashed=False, size=7, texts=texts))
    words = "different trigrams over all (distinct-3)"
    return Panel(_rounds(points), AxisSpec(words), marks, label="Diversity", title="Diversity")


def _rounds(points: Sequence[RoundPoint]) -> AxisSpec:
    ticks = [(float(n), str(n)) for n in sorted({point.round for point in points})]
    return AxisSpec("round", ticks=ticks)
