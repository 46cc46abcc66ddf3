"""The charts as files for papers and slides: PNG and SVG through matplotlib, on white."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from synthlaw.common.numbers import format_count
from synthlaw.report.artifacts import Study
from synthlaw.report.curves import Axis, MixtureCurve, View, axis_ticks, floors, views
from synthlaw.report.drawing import (
    DASHES,
    LEGEND_HEIGHT,
    PANEL_HEIGHT,
    PANEL_WIDTH,
    add_legend,
    drawing,
    new_figure,
    short_name,
    write_drawn,
)
from synthlaw.report.palette import PAPER, Style, mixture_kinds, mixture_styles, type_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS = 4


def write_figures(study: Study, folder: Path) -> list[str]:
    """Write every figure that the study has numbers for; gives their file names."""
    with drawing():
        drawn = {
            "data_scaling": _scaling(study, "tokens"),
            "model_scaling": _scaling(study, "params"),
            "ratio": _ratio(study),
            "floors": _floors(study),
        }
        return write_drawn(drawn, folder)


def _scaling(study: Study, axis: Axis) -> Figure | None:
    """One panel per size (or budget): the largest ones, on a shared loss axis."""
    kinds = mixture_kinds(study)
    found = views(study, axis, list(kinds))[-MOST_PANELS:]
    if not found:
        return None
    styles = mixture_styles(kinds)
    figure = new_figure(PANEL_WIDTH * len(found) + 0.4, PANEL_HEIGHT + LEGEND_HEIGHT)
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    words = "parameters" if axis == "tokens" else "tokens"
    for panel, view in zip(panels, found, strict=True):
        panel.set_title(f"{format_count(view.fixed)} {words}", fontsize=9, loc="left")
        panel.set_xscale("log")
        panel.set_xlabel("training tokens" if axis == "tokens" else "non-embedding parameters")
        for curve in view.curves:
            _draw_curve(panel, curve, styles[curve.mixture])
        _label_ticks(panel, view)
    panels[0].set_ylabel("held-out loss (nats per token)")
    add_legend(figure, [(name, styles[name].light, styles[name].dash) for name in kinds])
    return figure


def _draw_curve(panel: Axes, curve: MixtureCurve, style: Style) -> None:
    if curve.low:
        panel.fill_between(
            curve.x, curve.low, curve.high, color=style.light, alpha=0.14, linewidth=0
        )
    inside = [i for i, x in enumerate(curve.x) if x <= curve.reach]
    split = inside[-1] if inside else 0
    dash = DASHES[style.dash]
    panel.plot(
        curve.x[: split + 1], curve.loss[: split + 1], color=style.light, linestyle=dash, lw=1.6
    )
    panel.plot(curve.x[split:], curve.loss[split:], color=style.light, linestyle=dash, lw=0.8)
    for held_out in (False, True):
        points = [point for point in curve.points if point.held_out is held_out]
        panel.plot(
            [point.x for point in points],
            [point.loss for point in points],
            linestyle="none",
            marker="D" if held_out else "o",
            markersize=5 if held_out else 4,
            markerfacecolor=PAPER["light"] if held_out else style.light,
            markeredgecolor=style.light,
            zorder=3,
        )


def _label_ticks(panel: Axes, view: View) -> None:
    every_x = [p.x for c in view.curves for p in c.points] or [x for c in view.curves for x in c.x]
    if every_x:
        ticks = axis_ticks([*every_x, *([view.question] if view.question else [])])
        panel.set_xticks(ticks, [format_count(tick) for tick in ticks])
    panel.minorticks_off()


def _ratio(study: Study) -> Figure | None:
    curves = [curve for curve in (study.advice.ratios if study.advice else ()) if curve.points]
    if not curves:
        return None
    own = [kind.synthetic_type for kind in mixture_kinds(study).values()]
    colours = type_colours([*own, *(curve.synthetic_type for curve in curves)])
    figure = new_figure(4.6, PANEL_HEIGHT + LEGEND_HEIGHT)
    panel = figure.subplots()
    for curve in curves:
        colour = colours[curve.synthetic_type]["light"]
        points = sorted(curve.points, key=lambda point: point.ratio)
        shares = [100 * point.ratio for point in points]
        spans = [point.interval for point in points]
        bounded = [span for span in spans if span is not None and None not in span]
        if len(bounded) == len(points):
            lows, highs = zip(*bounded, strict=True)
            panel.fill_between(shares, lows, highs, color=colour, alpha=0.14, linewidth=0)
        panel.plot(shares, [p.loss for p in points], color=colour, marker="o", ms=4, lw=1.6)
    panel.set_xlabel("synthetic share of training tokens (%)")
    panel.set_ylabel("predicted loss (nats per token)")
    names = [curve.synthetic_type for curve in curves]
    add_legend(figure, [(name, colours[name]["light"], "solid") for name in names])
    return figure


def _floors(study: Study) -> Figure | None:
    kind, laws = floors(study)
    if not laws:
        return None
    styles = mixture_styles(mixture_kinds(study))
    ordered = sorted(laws, key=lambda law: law.coefficients["E"] or 0.0, reverse=True)
    figure = new_figure(4.6, 0.9 + 0.32 * len(ordered))
    panel = figure.subplots()
    for row, law in enumerate(ordered):
        colour = styles[law.mixture].light
        low, high = law.intervals.get("E") or (None, None)
        if low is not None and high is not None:
            panel.plot([low, high], [row, row], color=colour, lw=2.2, alpha=0.55)
        floor = law.coefficients["E"]
        if floor is not None:
            panel.plot([floor], [row], marker="o", ms=5.5, color=colour)
    panel.set_yticks(range(len(ordered)), [short_name(law.mixture) for law in ordered])
    panel.set_ylim(-0.6, len(ordered) - 0.4)
    panel.grid(axis="y", visible=False)
    panel.grid(axis="x", visible=True)
    words = "irreducible loss E" if kind == "joint" else f"constant E of the {kind} law"
    panel.set_xlabel(f"{words} (nats per token)")
    return figure
