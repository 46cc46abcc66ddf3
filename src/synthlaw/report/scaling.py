"""Losses against tokens or parameters: one panel per size (or budget), a curve per mixture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from synthlaw.common.numbers import format_count
from synthlaw.report.artifacts import Study
from synthlaw.report.chart import (
    LOSS_TITLE,
    AxisSpec,
    Band,
    Chart,
    Ink,
    Interval,
    Line,
    Mark,
    Panel,
    Points,
)
from synthlaw.report.contrasts import against_baseline
from synthlaw.report.curves import (
    Axis,
    MixtureCurve,
    Point,
    View,
    axis_ticks,
    default_view,
    views,
)
from synthlaw.report.heat import baseline_of
from synthlaw.report.numerals import interval, number, signed
from synthlaw.report.palette import mixture_kinds, mixture_styles
from synthlaw.report.plotly_charts import chart_text

AXIS_TITLES: dict[Axis, str] = {
    "tokens": "training tokens",
    "params": "non-embedding parameters",
}


def scaling_chart(study: Study, axis: Axis) -> Chart | None:
    """All views along `axis`, each with its difference to the baseline; None without any."""
    kinds = mixture_kinds(study)
    found = views(study, axis, list(kinds))
    if not found:
        return None
    styles = mixture_styles(kinds)
    inks = {name: Ink(f"line:{place}", styles[name]) for place, name in enumerate(kinds)}
    sizes = study.sizes() if axis == "tokens" else study.budgets()
    fixed = "parameters" if axis == "tokens" else "tokens"
    panels = []
    for view in found:
        count = format_count(view.fixed)
        contrast = against_baseline(study, view, baseline_of(study))
        panel = replace(
            _panel(view, inks),
            label=_label(count, view, asked=bool(sizes) and view.fixed not in sizes),
            title=f"{count} {fixed}",
            difference=None if contrast is None else _panel(contrast, inks),
        )
        panels.append(panel)
    return Chart(panels, list(inks.items()), start=default_view(found))


def _label(count: str, view: View, *, asked: bool) -> str:
    if view.fitted is None:
        return f"{count} (asked)" if asked else count
    return f"{count}, to {format_count(view.curves[0].x[-1], 2) if view.curves[0].x else 'far'}"


def _panel(view: View, inks: dict[str, Ink]) -> Panel:
    marks: list[Mark] = []
    for index, curve in enumerate(view.curves):
        ink = inks[curve.mixture]
        if curve.low:
            marks.append(Band(ink, curve.x, curve.low, curve.high, index))
        marks += _line(view, curve, ink, index) + _asked(view, curve, ink, index)
    for index, curve in enumerate(view.curves):
        marks += _points(view, curve, inks[curve.mixture], index)
    every_x = [p.x for c in view.curves for p in c.points] or [x for c in view.curves for x in c.x]
    if view.fitted is not None:
        every_x = [*every_x, *next((curve.x for curve in view.curves if curve.x), [])[-1:]]
    ticks = axis_ticks([*every_x, *([view.question] if view.question else [])]) if every_x else []
    words = [(tick, format_count(tick)) for tick in ticks]
    title = LOSS_TITLE if view.baseline is None else f"loss minus that of {view.baseline}"
    x = AxisSpec(AXIS_TITLES[view.axis], log=True, ticks=words)
    return Panel(x, AxisSpec(title), marks, asked=view.question, fitted=view.fitted)


def _line(view: View, curve: MixtureCurve, ink: Ink, index: int) -> list[Mark]:
    """The law: as its mixture's dash where there are runs, thin beyond the last of them."""
    spans: list[str] = [""] * len(curve.x)
    if curve.low:
        show, ends = _show(view), zip(curve.low, curve.high, strict=True)
        spans = [f" ({show(low)} to {show(high)})" for low, high in ends]
    places = list(zip(curve.x, curve.loss, spans, strict=True))
    inside = [place for place in places if place[0] <= curve.reach]
    beyond = [place for place in places if place[0] > curve.reach]
    if inside and beyond:
        beyond.insert(0, inside[-1])
    name, unit = chart_text(curve.mixture), _unit(view)
    form = ".3f" if view.baseline is None else "+.3f"
    span = "%{text}" if curve.low else ""
    marks: list[Mark] = []
    for part, width, words in ((inside, 2.25, "fit"), (beyond, 1.25, "extrapolated")):
        if part:
            marks.append(
                Line(
                    ink,
                    [x for x, _, _ in part],
                    [y for _, y, _ in part],
                    width=width,
                    opacity=1.0 if words == "fit" else 0.75,
                    texts=[span for _, _, span in part] if curve.low else (),
                    template=f"{name}, {words}<br>%{{y:{form}}}{span} {unit}",
                    mixture=index,
                )
            )
    return marks


def _points(view: View, curve: MixtureCurve, ink: Ink, index: int) -> list[Mark]:
    marks: list[Mark] = []
    for held_out in (False, True):
        points = [point for point in curve.points if point.held_out is held_out]
        if points:
            x, y = [point.x for point in points], [point.loss for point in points]
            texts = [_point_text(view, curve.mixture, point) for point in points]
            marks.append(Points(ink, x, y, texts, hollow=held_out, mixture=index))
    return marks


def _point_text(view: View, mixture: str, point: Point) -> str:
    role = "held out of the fit" if point.held_out else "in the fit"
    seed = f", seed {point.seed}" if point.seed else ""
    return (
        f"{chart_text(mixture)}, {format_count(point.x)}<br>{_show(view)(point.loss)} {_unit(view)}"
        f"<br>{role}{chart_text(seed)}"
    )


def _show(view: View) -> Callable[[float | None], str]:
    """How a view's y is written: a loss, or a difference with its sign."""
    return number if view.baseline is None else signed


def _unit(view: View) -> str:
    """What a view's y is, for the text beside a value."""
    against = "" if view.baseline is None else f" against {chart_text(view.baseline)}"
    return f"nats per token{against}"


def _asked(view: View, curve: MixtureCurve, ink: Ink, index: int) -> list[Mark]:
    """The advice's loss with its interval, at the question's point."""
    if curve.asked is None:
        return []
    x, loss, span = curve.asked
    low, high = span or (None, None)
    words = f"{chart_text(curve.mixture)} at the question<br>{_show(view)(loss)}"
    ends = interval(span, sign=view.baseline is not None)
    return [Interval(ink, x, loss, low, high, f"{words} ({ends}) {_unit(view)}", index)]
