"""Predicted loss against the share of synthetic tokens, a curve per synthetic type."""

from __future__ import annotations

from synthlaw.report.artifacts import Study
from synthlaw.report.chart import LOSS_TITLE, AxisSpec, Band, Chart, Ink, Line, Mark, Panel
from synthlaw.report.curves import ratio_curves
from synthlaw.report.numerals import interval, number, percent
from synthlaw.report.palette import Style, mixture_kinds, type_colours
from synthlaw.report.plotly_charts import chart_text

SHARE_AXES = (5, 10, 25, 50, 100)


def of_study(study: Study) -> Chart | None:
    """One panel, from nothing to the least round share that holds all curves."""
    curves = ratio_curves(study)
    if not curves:
        return None
    own = [kind.synthetic_type for kind in mixture_kinds(study).values()]
    colours = type_colours([*own, *(curve.synthetic_type for curve in curves)])
    marks: list[Mark] = []
    legend = []
    for index, curve in enumerate(curves):
        pair = colours[curve.synthetic_type]
        ink = Ink(f"type:{index}", Style(pair["light"], pair["dark"], "solid"))
        legend.append((curve.synthetic_type, ink))
        points = sorted(curve.points, key=lambda point: point.ratio)
        shares = [100 * point.ratio for point in points]
        spans = [point.interval for point in points]
        bounded = [s for s in spans if s is not None and None not in s]
        if len(bounded) == len(points):
            lows, highs = zip(*bounded, strict=True)
            marks.append(Band(ink, shares, lows, highs))
        texts = [
            f"{percent(point.ratio)} {chart_text(curve.synthetic_type)}<br>"
            f"{number(point.loss)} ({interval(point.interval)}) nats per token"
            for point in points
        ]
        losses = [point.loss for point in points]
        marks.append(Line(ink, shares, losses, width=2.25, dashed=False, size=7, texts=texts))
    largest = max(point.ratio for curve in curves for point in curve.points)
    top = next(top for top in SHARE_AXES if largest * 100 <= top + 0.01)
    ticks = [(share, f"{share}%") for share in range(0, top + 1, top // 5)]
    x = AxisSpec("share of synthetic tokens", ticks=ticks, range=(-0.03 * top, 1.03 * top))
    return Chart([Panel(x, AxisSpec(LOSS_TITLE), marks)], legend, width=4.2)
