"""Charts on the page: plotly figures as plain dictionaries, drawn by assets/page.js.

Colours are written as references ("@line:3") that the page's script looks up in the light or the
dark palette. Text that reaches plotly is escaped, because plotly reads a subset of HTML.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from functools import singledispatch
from typing import Any

from synthlaw.report.chart import AxisSpec, Band, Chart, Ink, Interval, Line, Mark, Panel, Points
from synthlaw.report.palette import INK, NATURAL, PAPER, rgb

Figure = dict[str, Any]
BAND_OPACITY = 0.1
DIGITS = 6
"""Significant digits of the charts' numbers; the tables beside the page hold all."""

AWAY = {"light": "#dfe2e8", "dark": "#2c3038"}


def chart_text(text: str) -> str:
    """Text as plotly shows it literally: its markup is escaped, percent-brace is broken up."""
    return html.escape(text, quote=False).replace("%{", "%\u200b{")


def page_chart(chart: Chart) -> dict[str, Any]:
    """What the page's script and templates read of a chart: {"views", "start", "bands", "words"}.

    A view is {"label", "figure", "difference": the figure against the baseline, or None}.
    """
    return {
        "views": [
            {
                "label": panel.label,
                "figure": plotly_figure(panel),
                "difference": plotly_figure(panel.difference) if panel.difference else None,
            }
            for panel in chart.panels
        ],
        "start": chart.start,
        "bands": chart.bands,
        "words": chart.words,
        "heading": chart.heading,
        "lead": chart.lead,
        "legend": [(name, ink.ref, ink.style.dash) for name, ink in chart.legend],
    }


def plotly_figure(panel: Panel) -> Figure:
    """One panel as plotly's data and layout."""
    layout = _layout(panel)
    marked = [(panel.asked, "asked"), (panel.fitted, "largest run")]
    known = [(x, words) for x, words in marked if x is not None]
    if known:
        layout["shapes"] = [_vertical(x) for x, _ in known]
        told = _told(known)
        # On a narrow screen two places lie together that are apart elsewhere: one word a line.
        layout["annotations"] = [
            _note(x, words, panel.x.log) | {"yshift": 15 * line}
            for line, (x, words) in enumerate(told)
        ]
        layout["margin"] = {**layout["margin"], "t": 22 + 15 * (len(told) - 1)}
    return {"data": [_rounded(_trace(mark)) for mark in panel.marks], "layout": layout}


def _rounded(value: Any) -> Any:
    """Numbers with as many digits as a screen can show: they are most of a page's bytes."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return value


def chart_palette(charts: Iterable[Chart]) -> dict[str, dict[str, str]]:
    """What the charts' colour references mean, by theme."""
    inks = [ink for chart in charts for ink in chart.inks()]
    palettes = {}
    for theme in ("light", "dark"):
        colours = {
            "@paper": PAPER[theme],
            "@ink": INK[theme],
            "@quiet": NATURAL[theme],
            "@grid": AWAY[theme],
        }
        for ink in inks:
            colour = getattr(ink.style, theme)
            red, green, blue = rgb(colour)
            colours[_colour(ink)] = colour
            colours[_shade(ink)] = f"rgba({red},{green},{blue},{BAND_OPACITY})"
            colours[_dash(ink)] = ink.style.dash
        palettes[theme] = colours
    return palettes


def _colour(ink: Ink) -> str:
    return f"@{ink.ref}"


def _shade(ink: Ink) -> str:
    return f"@band-{ink.ref}"


def _dash(ink: Ink) -> str:
    return f"@dash-{ink.ref}"


@singledispatch
def _trace(mark: Any) -> Figure:
    raise TypeError(f"the page draws no {type(mark).__name__}")


@_trace.register(Band)
def _(mark: Band) -> Figure:
    return _of(
        mark,
        mode="lines",
        x=[*mark.x, *reversed(mark.x)],
        y=[*mark.high, *reversed(mark.low)],
        fill="toself",
        fillcolor=_shade(mark.ink),
        line={"width": 0},
        hoverinfo="skip",
    )


@_trace.register(Line)
def _(mark: Line) -> Figure:
    colour = _colour(mark.ink)
    modes = (("lines", mark.width), ("markers", mark.size))
    found = _of(
        mark,
        mode="+".join(name for name, drawn in modes if drawn),
        x=list(mark.x),
        y=list(mark.y),
        line={"color": colour, "width": mark.width},
    )
    if mark.dashed:
        found["line"]["dash"] = _dash(mark.ink)
    if mark.size:
        found["marker"] = {"color": colour, "size": mark.size}
    if mark.opacity is not None:
        found["opacity"] = mark.opacity
    if mark.texts:
        found["text"] = list(mark.texts)
    if mark.texts or mark.template:
        return found | {"hovertemplate": f"{mark.template or '%{text}'}<extra></extra>"}
    return found | {"hoverinfo": "skip"}


@_trace.register(Points)
def _(mark: Points) -> Figure:
    colour = _colour(mark.ink)
    return _of(
        mark,
        mode="markers",
        x=list(mark.x),
        y=list(mark.y),
        text=list(mark.texts),
        hovertemplate="%{text}<extra></extra>",
        marker={
            "color": "@paper" if mark.hollow else colour,
            "symbol": "diamond" if mark.hollow else "circle",
            "size": 10 if mark.hollow else 7,
            "line": {"color": colour, "width": 2 if mark.hollow else 0},
        },
    )


@_trace.register(Interval)
def _(mark: Interval) -> Figure:
    colour = _colour(mark.ink)
    return _of(
        mark,
        mode="markers",
        x=[mark.x],
        y=[mark.y],
        text=[mark.text],
        hovertemplate="%{text}<extra></extra>",
        marker={"color": colour, "symbol": "line-ew-open", "size": 12},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [mark.high - mark.y if mark.high is not None else 0],
            "arrayminus": [mark.y - mark.low if mark.low is not None else 0],
            "color": colour,
            "thickness": 1.25,
            "width": 4,
        },
    )


def _of(mark: Mark, **trace: Any) -> Figure:
    number = getattr(mark, "mixture", None)
    return {"type": "scatter", **trace, **({} if number is None else {"mixture": number})}


def _layout(panel: Panel) -> Figure:
    """A chart's axes, fonts and margins; colours are references."""
    return {
        "xaxis": {**_axis(panel.x), "showgrid": False},
        # Long labels would lie over the title.
        "yaxis": {**_axis(panel.y), "automargin": True},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "@ink", "size": 13},
        "margin": {"l": 58, "r": 14, "t": 22, "b": 52},
        "autosize": True,
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": "@paper", "bordercolor": "@quiet", "font": {"color": "@ink"}},
    }


def _axis(axis: AxisSpec) -> Figure:
    font = {"size": 13, "color": "@quiet"}
    found: Figure = {
        "gridcolor": "@grid",
        "linecolor": "@grid",
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": "@grid",
        "fixedrange": False,
        "title": {"text": chart_text(axis.title), "standoff": 8, "font": font},
    }
    if axis.log:
        found["type"] = "log"
    if axis.range is not None:
        found["range"] = list(axis.range)
    if axis.ticks is not None:
        found |= {
            "tickvals": [place for place, _ in axis.ticks],
            "ticktext": [words for _, words in axis.ticks],
        }
    return found


def _told(marked: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Marked places with their words; those that lie together share one."""
    (first, words), *rest = marked
    if rest and math.isclose(first, rest[0][0], rel_tol=0.35):
        return [(first, f"{words}, {rest[0][1]}")]
    return marked


def _vertical(x: float) -> Figure:
    line = {"color": "@quiet", "width": 1, "dash": "dot"}
    return {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": line}


def _note(x: float, text: str, log: bool) -> Figure:
    # Annotations on a logarithmic axis take the exponent, unlike shapes.
    return {
        "x": math.log10(x) if log else x,
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "text": text,
        "showarrow": False,
        "font": {"color": "@quiet", "size": 12},
    }
