"""Drawing for figures: one look for all of them, on white, without a window system."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthlaw.common.files import atomic_path
from synthlaw.common.numbers import format_count
from synthlaw.report.palette import INK, NATURAL, PAPER

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
ENTRY_WIDTH, LETTER_WIDTH = 0.65, 0.08
"""Inches of an entry of the legend but for its name, and of a letter of that."""

LONGEST_NAME = 24
DPI = 160
ENDINGS = ("png", "svg", "pdf")
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
    # Fonts go into a PDF as TrueType: publishers refuse matplotlib's own kind.
    "pdf.fonttype": 42,
    # The same study gives the same bytes.
    "svg.hashsalt": "synthlaw",
}


@contextmanager
def drawing() -> Iterator[None]:
    """Our settings for as long as figures are drawn; the caller's own are left as they were."""
    import matplotlib as mpl

    with mpl.rc_context(SETTINGS):
        yield


def new_figure(width: float, height: float) -> Figure:
    """A figure without a window system: safe in a server or a test."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor=PAPER["light"])
    FigureCanvasAgg(figure)
    return figure


def logarithmic(panel: Axes, *axes: str) -> None:
    """Make axes ("x", "y") logarithmic, with counts as people write them at powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for name in axes:
        axis = panel.xaxis if name == "x" else panel.yaxis
        (panel.set_xscale if name == "x" else panel.set_yscale)("log")
        axis.set_major_locator(LogLocator(numticks=7))
        axis.set_major_formatter(FuncFormatter(lambda value, _: format_count(value)))
        axis.set_minor_formatter(NullFormatter())


def write_drawn(drawn: Mapping[str, Figure], folder: Path) -> list[str]:
    """Write every figure as SVG, PNG and PDF; gives their file names."""
    written = []
    for name, figure in drawn.items():
        for ending in ENDINGS:
            _save(figure, folder / f"{name}.{ending}")
            # Laid out once. A figure without an engine is not drawn twice for a file either.
            figure.set_layout_engine(None)
            written.append(f"{name}.{ending}")
    return written


def _save(figure: Figure, path: Path) -> None:
    metadata: dict[str, Any] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(
        path.suffix, {"Software": None}
    )
    with atomic_path(path) as aside:
        figure.savefig(aside, format=path.suffix[1:], dpi=DPI, metadata=metadata)


def svg_text(figure: Figure) -> str:
    """A figure as SVG in memory."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def add_legend(figure: Figure, entries: Sequence[tuple[str, str, str]]) -> None:
    """One legend for all panels, below them: (name, colour, dash) of each entry."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, linestyle=DASHES[dash], lw=1.8) for _, colour, dash in entries
    ]
    # matplotlib leaves out labels that begin with an underscore.
    short = [short_name(name) for name, _, _ in entries]
    labels = [f" {name}" if name.startswith("_") else name for name in short]
    width = ENTRY_WIDTH + LETTER_WIDTH * max(map(len, labels), default=0)
    columns = max(1, min(len(entries), 6, int(figure.get_figwidth() // width)))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def short_name(name: str) -> str:
    """A name on one line that leaves room for the drawing."""
    line = " ".join(name.split())
    return line if len(line) <= LONGEST_NAME else f"{line[: LONGEST_NAME - 1]}…"
