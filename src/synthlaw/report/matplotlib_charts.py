"""Charts as files for papers and slides: PNG and SVG through matplotlib, on white."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING, Any

from synthlaw.report.chart import (
    LEGEND_HEIGHT,
    AxisSpec,
    Band,
    Chart,
    Grid,
    Interval,
    Line,
    Mark,
    Panel,
    Points,
)
from synthlaw.report.drawing import DASHES, add_legend, logarithmic, new_figure, short_name
from synthlaw.report.palette import INK, NATURAL, PAPER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINE, POINT = 0.7, 0.57
"""Widths and sizes on paper over those of the page."""


def matplotlib_figure(chart: Chart) -> Figure:
    """The chart's panels side by side (or stacked), with one legend below them."""
    shown = chart.panels[-chart.in_files :]
    if isinstance(shown[0].marks[0], Grid):
        return _grid_figure(shown[0].marks[0], shown[0].title)
    legend = LEGEND_HEIGHT if chart.legend else 0
    rows, columns = (len(shown), 1) if chart.stacked else (1, len(shown))
    figure = new_figure(chart.width * columns + 0.4, chart.height * rows + 0.1 + legend)
    axes = figure.subplots(rows, columns, sharey=True, sharex=chart.stacked, squeeze=False)
    for panel, place in zip(shown, axes.flat, strict=True):
        _draw_panel(place, panel)
    for place, panel in zip(axes[:, 0], shown, strict=False):
        place.set_ylabel(panel.y.title)
    for place in axes[-1]:
        place.set_xlabel(shown[-1].x.title)
    if chart.legend:
        entries = [(name, ink.style.light, ink.style.dash) for name, ink in chart.legend]
        add_legend(figure, entries)
    return figure


def _draw_panel(place: Axes, panel: Panel) -> None:
    place.set_title(short_name(panel.title), fontsize=9, loc="left")
    for name, axis in (("x", panel.x), ("y", panel.y)):
        _set_axis(place, name, axis)
    for mark in panel.marks:
        _draw(mark, place)
    for x in (panel.asked, panel.fitted):
        if x is not None:
            place.axvline(x, color=NATURAL["light"], lw=0.8, linestyle=":")
    for name, axis in (("x", panel.x), ("y", panel.y)):
        if axis.ticks is not None:
            _label(place, name, axis)


def _set_axis(place: Axes, name: str, axis: AxisSpec) -> None:
    if axis.log:
        logarithmic(place, name)
    if axis.range is not None:
        (place.set_xlim if name == "x" else place.set_ylim)(*axis.range)


def _label(place: Axes, name: str, axis: AxisSpec) -> None:
    ticks = axis.ticks or ()
    words = [short_name(text) for _, text in ticks]
    crowded = name == "x" and len(ticks) > 7
    turned: dict[str, Any] = {"rotation": 45, "fontsize": 7} if crowded else {}
    own = place.xaxis if name == "x" else place.yaxis
    limits = place.get_xlim() if name == "x" else place.get_ylim()
    own.set_ticks([at for at, _ in ticks], labels=words, **turned)
    own.minorticks_off()
    if axis.log:  # labels beyond the drawn range must not widen it
        (place.set_xlim if name == "x" else place.set_ylim)(*limits)
    elif name == "y":  # names of rows
        place.grid(axis="y", visible=False)
        place.grid(axis="x", visible=True)


@singledispatch
def _draw(mark: Mark, place: Axes) -> None:
    raise TypeError(f"files draw no {type(mark).__name__}")


@_draw.register(Band)
def _(mark: Band, place: Axes) -> None:
    colour = mark.ink.style.light
    place.fill_between(mark.x, mark.low, mark.high, color=colour, alpha=0.14, linewidth=0)


@_draw.register(Line)
def _(mark: Line, place: Axes) -> None:
    dash = DASHES[mark.ink.style.dash] if mark.dashed else "-"
    place.plot(
        mark.x,
        [float("nan") if value is None else value for value in mark.y],
        color=mark.ink.style.light,
        linestyle=dash if mark.width else "none",
        lw=LINE * mark.width,
        marker="o" if mark.size else "",
        ms=POINT * mark.size,
        alpha=mark.opacity,
    )


@_draw.register(Points)
def _(mark: Points, place: Axes) -> None:
    colour = mark.ink.style.light
    place.plot(
        mark.x,
        mark.y,
        linestyle="none",
        marker="D" if mark.hollow else "o",
        markersize=5 if mark.hollow else 4,
        markerfacecolor=PAPER["light"] if mark.hollow else colour,
        markeredgecolor=colour,
        zorder=3,
    )


@_draw.register(Interval)
def _(mark: Interval, place: Axes) -> None:
    colour = mark.ink.style.light
    if mark.low is not None and mark.high is not None:
        place.plot([mark.x, mark.x], [mark.low, mark.high], color=colour, lw=0.9)
    place.plot([mark.x], [mark.y], marker="_", ms=7, color=colour)


def _grid_figure(grid: Grid, title: str) -> Figure:
    width, height = 2.2 + 0.62 * len(grid.columns), 1.4 + 0.27 * len(grid.rows)
    figure = new_figure(width, height)
    # Room for the longest name, which the automatic layout would cut.
    figure.set_layout_engine("none")
    left, bottom = 1.7 / width, 1.05 / height
    place = figure.add_axes((left, bottom, 0.99 - left, 1 - 0.3 / height - bottom))
    place.imshow(grid.values, cmap="Blues", aspect="auto")
    place.grid(visible=False)
    middle = (max(map(max, grid.values)) + min(map(min, grid.values))) / 2
    for row, line in enumerate(grid.values):
        for column, value in enumerate(line):
            place.text(
                column,
                row,
                f"{value:.2f}",
                ha="center",
                va="center",
                fontsize=7,
                fontweight="bold" if value == min(line) else "normal",
                color="#ffffff" if value > middle else INK["light"],
            )
    columns = [short_name(name) for name in grid.columns]
    place.set_xticks(range(len(columns)), columns, rotation=35, ha="right", fontsize=7.5)
    place.set_yticks(range(len(grid.rows)), [short_name(n) for n in grid.rows], fontsize=7.5)
    place.set_title(title, fontsize=8.5, loc="left")
    return figure
