"""The charts as files for papers and slides: PNG and SVG through matplotlib, on white."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthlaw.common.files import atomic_path
from synthlaw.common.numbers import format_count
from synthlaw.report.artifacts import Study
from synthlaw.report.curves import Axis, MixtureCurve, View, axis_ticks, floors, views
from synthlaw.report.palette import (
    INK,
    NATURAL,
    PAPER,
    Style,
    mixture_kinds,
    mixture_styles,
    type_colours,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DASHES: dict[str, Any] = {
    "solid": "-",
    "dash": (0, (5, 2.5)),
    "dot": (0, (1.5, 1.8)),
    "dashdot": (0, (5, 2, 1.5, 2)),
    "longdash": (0, (8, 2.5)),
}
PANEL_WIDTH, PANEL_HEIGHT, LEGEND_HEIGHT = 3.5, 3.2, 0.7
MOST_PANELS = 4
LONGEST_NAME = 24
DPI = 160
SETTINGS: Any = {
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.edgecolor": NATURAL["light"],
    "axes.labelcolor": INK["light"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e4e6ea",
    "grid.linewidth": 0.6,
    "xtick.color": NATURAL["light"],
    "ytick.color": NATURAL["light"],
    "xtick.labelcolor": INK["light"],
    "ytick.labelcolor": INK["light"],
    "text.color": INK["light"],
    # Names are data: a dollar sign in one is not mathematics.
    "text.parse_math": False,
    "svg.fonttype": "none",
    # The same study gives the same bytes.
    "svg.hashsalt": "synthlaw",
}


def write_figures(study: Study, folder: Path) -> list[str]:
    """Write every figure that the study has numbers for; gives their file names."""
    with _drawing():
        drawn = {
            "data_scaling": _scaling(study, "tokens"),
            "model_scaling": _scaling(study, "params"),
            "ratio": _ratio(study),
            "floors": _floors(study),
        }
        written = []
        for name, figure in drawn.items():
            if figure is not None:
                # Laid out once; each file would lay it out again.
                figure.draw_without_rendering()
                figure.set_layout_engine("none")
                for ending in ("svg", "png"):
                    _save(figure, folder / f"{name}.{ending}")
                    written.append(f"{name}.{ending}")
        return written


@contextmanager
def _drawing() -> Iterator[None]:
    """Our settings for as long as figures are drawn; the caller's own are left as they were."""
    import matplotlib as mpl

    with mpl.rc_context(SETTINGS):
        yield


def _new_figure(width: float, height: float) -> Figure:
    """A figure without a window system: safe in a server or a test."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor=PAPER["light"])
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> None:
    metadata: dict[str, Any] = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    with atomic_path(path) as aside:
        figure.savefig(aside, format=path.suffix[1:], dpi=DPI, metadata=metadata)


def _scaling(study: Study, axis: Axis) -> Figure | None:
    """One panel per size (or budget): the largest ones, on a shared loss axis."""
    kinds = mixture_kinds(study)
    found = views(study, axis, list(kinds))[-MOST_PANELS:]
    if not found:
        return None
    styles = mixture_styles(kinds)
    figure = _new_figure(PANEL_WIDTH * len(found) + 0.4, PANEL_HEIGHT + LEGEND_HEIGHT)
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
    _legend(figure, [(name, styles[name].light, styles[name].dash) for name in kinds])
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


def _legend(figure: Figure, entries: Sequence[tuple[str, str, str]]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, linestyle=DASHES[dash], lw=1.8) for _, colour, dash in entries
    ]
    # matplotlib leaves out labels that begin with an underscore.
    short = [_short(name) for name, _, _ in entries]
    labels = [f" {name}" if name.startswith("_") else name for name in short]
    columns = min(len(entries), 6)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def _short(name: str) -> str:
    """A name on one line that leaves room for the drawing."""
    line = " ".join(name.split())
    return line if len(line) <= LONGEST_NAME else f"{line[: LONGEST_NAME - 1]}…"


def _ratio(study: Study) -> Figure | None:
    curves = [curve for curve in (study.advice.ratios if study.advice else ()) if curve.points]
    if not curves:
        return None
    own = [kind.synthetic_type for kind in mixture_kinds(study).values()]
    colours = type_colours([*own, *(curve.synthetic_type for curve in curves)])
    figure = _new_figure(4.6, PANEL_HEIGHT + LEGEND_HEIGHT)
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
    _legend(figure, [(name, colours[name]["light"], "solid") for name in names])
    return figure


def _floors(study: Study) -> Figure | None:
    kind, laws = floors(study)
    if not laws:
        return None
    styles = mixture_styles(mixture_kinds(study))
    ordered = sorted(laws, key=lambda law: law.coefficients["E"] or 0.0, reverse=True)
    figure = _new_figure(4.6, 0.9 + 0.32 * len(ordered))
    panel = figure.subplots()
    for row, law in enumerate(ordered):
        colour = styles[law.mixture].light
        low, high = law.intervals.get("E") or (None, None)
        if low is not None and high is not None:
            panel.plot([low, high], [row, row], color=colour, lw=2.2, alpha=0.55)
        floor = law.coefficients["E"]
        if floor is not None:
            panel.plot([floor], [row], marker="o", ms=5.5, color=colour)
    panel.set_yticks(range(len(ordered)), [_short(law.mixture) for law in ordered])
    panel.set_ylim(-0.6, len(ordered) - 0.4)
    panel.grid(axis="y", visible=False)
    panel.grid(axis="x", visible=True)
    words = "irreducible loss E" if kind == "joint" else f"constant E of the {kind} law"
    panel.set_xlabel(f"{words} (nats per token)")
    return figure
