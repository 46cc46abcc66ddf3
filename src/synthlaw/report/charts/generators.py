"""Loss against the share of synthetic tokens, a curve per generator: the paper's figure 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from synthlaw.common.numbers import format_count
from synthlaw.report.artifacts import Study
from synthlaw.report.chart import LOSS_TITLE, AxisSpec, Chart, Ink, Mark, Panel, measured, type_inks
from synthlaw.report.generator_curves import GeneratorPoint, generator_points
from synthlaw.report.numerals import interval, number, percent
from synthlaw.report.plotly_charts import chart_text


def of_study(study: Study) -> Chart | None:
    """A panel per recipe that several generators carried out."""
    points = generator_points(study)
    if not points:
        return None
    names = list(dict.fromkeys(point.generator for point in points))
    inks = type_inks(names, "generator")
    recipes = dict.fromkeys(point.recipe for point in points)
    panels = [_panel([p for p in points if p.recipe == name], inks) for name in recipes]
    return Chart(panels, list(inks.items()), width=4.2, words="recipe")


def _panel(points: Sequence[GeneratorPoint], inks: Mapping[str, Ink]) -> Panel:
    marks: list[Mark] = []
    for name, ink in inks.items():
        own = [point for point in points if point.generator == name]
        if not own:
            continue
        texts = [
            f"{percent(point.share)} by {chart_text(name)}<br>"
            f"{number(point.loss)} ({interval(point.interval)}) nats per token"
            for point in own
        ]
        shares, losses = [100 * point.share for point in own], [point.loss for point in own]
        marks += measured(ink, shares, losses, [point.interval for point in own], texts)
    ticks = [(share, f"{share:g}%") for share in sorted({100 * point.share for point in points})]
    x = AxisSpec("share of synthetic tokens", log=True, ticks=ticks)
    one = points[0]
    size = f"{format_count(one.params)} parameters, {format_count(one.tokens)} tokens"
    return Panel(x, AxisSpec(LOSS_TITLE), marks, label=one.recipe, title=f"{one.recipe}: {size}")
