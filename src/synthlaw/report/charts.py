"""The page's interactive charts as plotly figures: plain dictionaries, drawn by assets/page.js.

Colours are written as references ("@line:3") that the page's script looks up in the light or the
dark palette. Text that reaches plotly is escaped, because plotly reads a subset of HTML.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from synthlaw.common.numbers import format_count
from synthlaw.report.artifacts import RatioCurve, Study
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
from synthlaw.report.numerals import interval, number, percent, signed
from synthlaw.report.palette import INK, NATURAL, PAPER, Style, mixture_kinds, rgb, type_colours

Figure = dict[str, Any]
AXIS_TITLES: dict[Axis, str] = {
    "tokens": "training tokens",
    "params": "non-embedding parameters",
}
BAND_OPACITY = 0.1
SHARE_AXES = (5, 10, 25, 50, 100)
LOSS_TITLE = "loss (nats per token)"
AWAY = {"light": "#dfe2e8", "dark": "#2c3038"}


def chart_text(text: str) -> str:
    """Text as plotly shows it literally: its markup is escaped, percent-brace is broken up."""
    return html.escape(text, quote=False).replace("%{", "%\u200b{")


def scaling_chart(
    study: Study, axis: Axis, mixtures: Sequence[str], baseline: str | None
) -> dict[str, Any] | None:
    """All views along `axis`, None when there are none.

    {"views": [{"label", "figure", "difference": the same against the baseline, or None}],
    "start": the view to open with, "bands": whether laws carry intervals along their curves}.
    """
    found = views(study, axis, mixtures)
    if not found:
        return None
    sizes = study.sizes() if axis == "tokens" else study.budgets()
    return {
        "views": [
            {
                "label": format_count(view.fixed) + ("" if view.fixed in sizes else " (asked)"),
                "figure": _scaling_figure(view),
                "difference": _difference_figure(study, view, baseline),
            }
            for view in found
        ],
        "start": default_view(found),
        "bands": any(curve.low for view in found for curve in view.curves),
    }


def _difference_figure(study: Study, view: View, baseline: str | None) -> Figure | None:
    contrast = against_baseline(study, view, baseline)
    return None if contrast is None else _scaling_figure(contrast)


def _scaling_figure(view: View) -> Figure:
    traces: list[Figure] = []
    for index, curve in enumerate(view.curves):
        traces += _band(curve, index) + _line(view, curve, index) + _asked(view, curve, index)
    for index, curve in enumerate(view.curves):
        traces += _points(view, curve, index)
    every_x = [p.x for c in view.curves for p in c.points] or [x for c in view.curves for x in c.x]
    ticks = axis_ticks([*every_x, *([view.question] if view.question else [])]) if every_x else []
    title = LOSS_TITLE if view.baseline is None else f"loss minus that of {view.baseline}"
    layout = base_layout(AXIS_TITLES[view.axis], chart_text(title))
    layout["xaxis"] |= {
        "type": "log",
        "tickvals": ticks,
        "ticktext": [format_count(tick) for tick in ticks],
    }
    if view.question is not None:
        layout["shapes"] = [_vertical(view.question)]
        layout["annotations"] = [_note(view.question, "asked")]
    return {"data": traces, "layout": layout}


def _band(curve: MixtureCurve, index: int) -> list[Figure]:
    if not curve.low:
        return []
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [*curve.x, *reversed(curve.x)],
            "y": [*curve.high, *reversed(curve.low)],
            "fill": "toself",
            "fillcolor": f"@band:{index}",
            "line": {"width": 0},
            "hoverinfo": "skip",
            "mixture": index,
        }
    ]


def _line(view: View, curve: MixtureCurve, index: int) -> list[Figure]:
    """The law: as its mixture's dash where there are runs, thin beyond the last of them."""
    inside = [(x, y) for x, y in zip(curve.x, curve.loss, strict=True) if x <= curve.reach]
    beyond = [(x, y) for x, y in zip(curve.x, curve.loss, strict=True) if x > curve.reach]
    if inside and beyond:
        beyond.insert(0, inside[-1])
    name, unit = chart_text(curve.mixture), _unit(view)
    form = ".3f" if view.baseline is None else "+.3f"
    traces = []
    for part, width, words in ((inside, 2.25, "fit"), (beyond, 1.25, "extrapolated")):
        if part:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "x": [x for x, _ in part],
                    "y": [y for _, y in part],
                    "line": {"color": f"@line:{index}", "dash": f"@dash:{index}", "width": width},
                    "opacity": 1.0 if words == "fit" else 0.75,
                    "hovertemplate": f"{name}, {words}<br>%{{y:{form}}} {unit}<extra></extra>",
                    "mixture": index,
                }
            )
    return traces


def _points(view: View, curve: MixtureCurve, index: int) -> list[Figure]:
    traces = []
    for held_out in (False, True):
        points = [point for point in curve.points if point.held_out is held_out]
        if points:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": [point.x for point in points],
                    "y": [point.loss for point in points],
                    "text": [_point_text(view, curve.mixture, point) for point in points],
                    "hovertemplate": "%{text}<extra></extra>",
                    "marker": {
                        "color": "@paper" if held_out else f"@line:{index}",
                        "symbol": "diamond" if held_out else "circle",
                        "size": 10 if held_out else 7,
                        "line": {"color": f"@line:{index}", "width": 2 if held_out else 0},
                    },
                    "mixture": index,
                }
            )
    return traces


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


def _asked(view: View, curve: MixtureCurve, index: int) -> list[Figure]:
    """The advice's loss with its interval, at the question's point."""
    if curve.asked is None:
        return []
    x, loss, span = curve.asked
    low, high = span or (None, None)
    words = f"{chart_text(curve.mixture)} at the question<br>{_show(view)(loss)}"
    ends = interval(span, sign=view.baseline is not None)
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [x],
            "y": [loss],
            "text": [f"{words} ({ends}) {_unit(view)}"],
            "hovertemplate": "%{text}<extra></extra>",
            "marker": {"color": f"@line:{index}", "symbol": "line-ew-open", "size": 12},
            "error_y": {
                "type": "data",
                "symmetric": False,
                "array": [high - loss if high is not None else 0],
                "arrayminus": [loss - low if low is not None else 0],
                "color": f"@line:{index}",
                "thickness": 1.25,
                "width": 4,
            },
            "mixture": index,
        }
    ]


def _ratio_curves(study: Study) -> list[RatioCurve]:
    return [curve for curve in (study.advice.ratios if study.advice else ()) if curve.points]


def ratio_types(study: Study) -> list[str]:
    """The synthetic types of the ratio chart, in its order."""
    return [curve.synthetic_type for curve in _ratio_curves(study)]


def ratio_chart(study: Study) -> dict[str, Any] | None:
    """Loss against the synthetic share, a line and a band per type; None when there is none."""
    ratios = _ratio_curves(study)
    if not ratios:
        return None
    traces: list[Figure] = []
    for index, curve in enumerate(ratios):
        points = sorted(curve.points, key=lambda point: point.ratio)
        shares = [100 * point.ratio for point in points]
        spans = [point.interval for point in points]
        bounded = [s for s in spans if s is not None and None not in s]
        if len(bounded) == len(points):
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "x": [*shares, *reversed(shares)],
                    "y": [*(s[1] for s in bounded), *(s[0] for s in reversed(bounded))],
                    "fill": "toself",
                    "fillcolor": f"@typeband:{index}",
                    "line": {"width": 0},
                    "hoverinfo": "skip",
                }
            )
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": shares,
                "y": [point.loss for point in points],
                "text": [
                    f"{percent(point.ratio)} {chart_text(curve.synthetic_type)}<br>"
                    f"{number(point.loss)} ({interval(point.interval)}) nats per token"
                    for point in points
                ],
                "hovertemplate": "%{text}<extra></extra>",
                "line": {"color": f"@type:{index}", "width": 2.25},
                "marker": {"color": f"@type:{index}", "size": 7},
            }
        )
    largest = max(point.ratio for curve in ratios for point in curve.points)
    top = next(top for top in SHARE_AXES if largest * 100 <= top + 0.01)
    layout = base_layout("share of synthetic tokens", LOSS_TITLE)
    layout["xaxis"] |= {
        "range": [-0.03 * top, 1.03 * top],
        "tickvals": list(range(0, top + 1, top // 5)),
        "ticktext": [f"{share}%" for share in range(0, top + 1, top // 5)],
    }
    return {"views": [{"label": "", "figure": {"data": traces, "layout": layout}}], "start": 0}


def chart_palette(
    study: Study, mixtures: Sequence[str], styles: Mapping[str, Style]
) -> dict[str, dict[str, str]]:
    """What the charts' colour references mean, by theme."""
    shared = ratio_types(study)
    types = type_colours(
        [*(kind.synthetic_type for kind in mixture_kinds(study).values()), *shared]
    )
    palettes = {}
    for theme in ("light", "dark"):
        colours = {
            "@paper": PAPER[theme],
            "@ink": INK[theme],
            "@quiet": NATURAL[theme],
            "@grid": AWAY[theme],
        }
        for index, mixture in enumerate(mixtures):
            colour = getattr(styles[mixture], theme)
            colours[f"@line:{index}"] = colour
            colours[f"@band:{index}"] = _see_through(colour)
            colours[f"@dash:{index}"] = styles[mixture].dash
        for index, name in enumerate(shared):
            colours[f"@type:{index}"] = types[name][theme]
            colours[f"@typeband:{index}"] = _see_through(types[name][theme])
        palettes[theme] = colours
    return palettes


def _see_through(colour: str) -> str:
    red, green, blue = rgb(colour)
    return f"rgba({red},{green},{blue},{BAND_OPACITY})"


def base_layout(x_title: str, y_title: str) -> Figure:
    """A chart's axes, fonts and margins; colours are references."""
    axis = {
        "gridcolor": "@grid",
        "linecolor": "@grid",
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": "@grid",
        "fixedrange": False,
    }
    return {
        "xaxis": {**axis, "title": _title(x_title), "showgrid": False},
        "yaxis": {**axis, "title": _title(y_title)},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "@ink", "size": 13},
        "margin": {"l": 58, "r": 14, "t": 22, "b": 52},
        "autosize": True,
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": "@paper", "bordercolor": "@quiet", "font": {"color": "@ink"}},
    }


def _title(text: str) -> Figure:
    return {"text": text, "standoff": 8, "font": {"size": 13, "color": "@quiet"}}


def _vertical(x: float) -> Figure:
    line = {"color": "@quiet", "width": 1, "dash": "dot"}
    return {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": line}


def _note(x: float, text: str) -> Figure:
    # Annotations on a logarithmic axis take the exponent, unlike shapes.
    return {
        "x": math.log10(x),
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "text": text,
        "showarrow": False,
        "font": {"color": "@quiet", "size": 12},
    }
