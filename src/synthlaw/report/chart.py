"""What a chart shows, once for the page (plotly_charts.py) and for files (matplotlib_charts.py).

Every kind of chart is a module of `charts/` that gives a `Chart`; the two renderers draw it. Widths
and sizes are the page's pixels. A colour is an `Ink`, which the page looks up in the reader's theme
and a file takes in its light variant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from synthlaw.report.palette import INK, Style, blend, type_colours

PANEL_WIDTH, PANEL_HEIGHT, LEGEND_HEIGHT = 3.5, 3.2, 0.7
"""Of a file, in inches."""

PALE = {"light": "#8fb4d6", "dark": "#33516e"}
"""The end of what is shaded by order; the other end is the ink of text."""

LOSS_TITLE = "loss (nats per token)"


@dataclass(frozen=True)
class Ink:
    """A colour and dash. ref: what the page calls it, a group and a number such as line:3."""

    ref: str
    style: Style


def type_inks(names: Sequence[str], group: str) -> dict[str, Ink]:
    """An ink for each of some names that are no mixtures, with the colours of types."""
    colours = type_colours(names)
    return {
        name: Ink(f"{group}:{n}", Style(colours[name]["light"], colours[name]["dark"], "solid"))
        for n, name in enumerate(names)
    }


def shade_ink(group: str, of: int, place: int) -> Ink:
    """An ink for one of `of` quantities in order: the first are darker (lighter on a dark page)."""
    light, dark = (blend(PALE[theme], INK[theme], 1 - place / of) for theme in ("light", "dark"))
    return Ink(f"{group}:{place}", Style(light, dark, "solid"))


TEXT = Ink("text:0", Style(INK["light"], INK["dark"], "solid"))


@dataclass(frozen=True)
class Band:
    """A shade between two curves; mixture: the number that the page hides it by."""

    ink: Ink
    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    mixture: int | None = None


@dataclass(frozen=True)
class Line:
    """A curve. Values that are None leave a gap.

    width: 0 draws points alone. dashed: by the ink's dash, else solid. size: of its points, 0 for
    none. texts: what the page says of each point; template: of all, in plotly's words, with the
    point's own text as %{text}.
    """

    ink: Ink
    x: Sequence[float]
    y: Sequence[float | None]
    width: float = 2.0
    dashed: bool = True
    opacity: float | None = None
    size: float = 0
    texts: Sequence[str] = ()
    template: str = ""
    mixture: int | None = None


@dataclass(frozen=True)
class Points:
    """Separate points; hollow: diamonds filled with the paper's colour."""

    ink: Ink
    x: Sequence[float]
    y: Sequence[float]
    texts: Sequence[str]
    hollow: bool = False
    mixture: int | None = None


@dataclass(frozen=True)
class Interval:
    """A value with its interval, upright at x."""

    ink: Ink
    x: float
    y: float
    low: float | None
    high: float | None
    text: str
    mixture: int | None = None


@dataclass(frozen=True)
class Grid:
    """Numbers in cells, the least of a row bold; files alone draw it."""

    values: Sequence[Sequence[float]]
    columns: Sequence[str]
    rows: Sequence[str]


Mark = Band | Line | Points | Interval | Grid


def measured(
    ink: Ink,
    x: Sequence[float],
    y: Sequence[float],
    spans: Sequence[tuple[float | None, float | None]],
    texts: Sequence[str],
) -> list[Mark]:
    """Measured values [points] as points that a line joins, each with its interval."""
    line = Line(ink, x, y, width=2.25, dashed=False, size=7, texts=texts)
    rows = zip(x, y, spans, texts, strict=True)
    return [line, *(Interval(ink, at, value, *span, text) for at, value, span, text in rows)]


@dataclass(frozen=True)
class AxisSpec:
    """An axis. ticks: (place, words) of its labels; None leaves them to the renderer."""

    title: str
    log: bool = False
    ticks: Sequence[tuple[float, str]] | None = None
    range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Panel:
    """One pair of axes: a view of the page's chart, a panel of the file's figure.

    label: how the page's reader chooses it. title: above it in a file. asked: the question's x.
    fitted: the largest x that was run, where the marks go on beyond it. difference: the same
    against the baseline, which the page can show instead.
    """

    x: AxisSpec
    y: AxisSpec
    marks: Sequence[Mark]
    label: str = ""
    title: str = ""
    asked: float | None = None
    fitted: float | None = None
    difference: Panel | None = None


@dataclass(frozen=True)
class Chart:
    """Panels that belong together. legend: names by ink, below a file's panels.

    start: the panel that the page opens with. in_files: panels that a file has room for, the last
    ones. width, height: of a file's panel in inches. stacked: panels one below the other. on_page:
    whether the page shows it. words: what its reader chooses there. heading, lead: what stands
    above it on the page, where no section of the page has words of its own.
    """

    panels: Sequence[Panel]
    legend: Sequence[tuple[str, Ink]] = ()
    start: int = 0
    in_files: int = 4
    width: float = PANEL_WIDTH
    height: float = PANEL_HEIGHT
    stacked: bool = False
    on_page: bool = True
    words: str = ""
    heading: str = ""
    lead: str = ""

    def inks(self) -> Iterator[Ink]:
        """Every colour that the page looks up."""
        for panel in self.panels:
            for shown in (panel, panel.difference):
                for mark in shown.marks if shown else ():
                    if not isinstance(mark, Grid):
                        yield mark.ink

    @property
    def bands(self) -> bool:
        """Whether any curve has a band."""
        return any(isinstance(mark, Band) for panel in self.panels for mark in panel.marks)
