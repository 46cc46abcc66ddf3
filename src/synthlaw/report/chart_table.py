"""The numbers that a chart draws, as CSV: the third reading of its specification."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from functools import singledispatch
from typing import Any

from synthlaw.report.chart import Band, Chart, Grid, Interval, Line, Mark, Points

COLUMNS = ("panel", "measure", "name", "mark", "x", "y", "low", "high")


def chart_csv(chart: Chart) -> str:
    """A row per drawn place, full precision. name: the legend's, by the ink of the mark.

    measure: value, or difference where the panel has the same against the baseline.
    """
    names = {ink.ref: name for name, ink in chart.legend}
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for panel in chart.panels:
        for measure, shown in (("value", panel), ("difference", panel.difference)):
            for mark in shown.marks if shown else ():
                ref = "" if isinstance(mark, Grid) else mark.ink.ref
                for row in _rows(mark):
                    writer.writerow([panel.label or panel.title, measure, names.get(ref, ""), *row])
    return stream.getvalue()


@singledispatch
def _rows(mark: Mark) -> Iterator[tuple[Any, ...]]:
    raise TypeError(f"a table holds no {type(mark).__name__}")


@_rows.register(Band)
def _(mark: Band) -> Iterator[tuple[Any, ...]]:
    for x, low, high in zip(mark.x, mark.low, mark.high, strict=True):
        yield "band", x, None, low, high


@_rows.register(Line)
def _(mark: Line) -> Iterator[tuple[Any, ...]]:
    for x, y in zip(mark.x, mark.y, strict=True):
        yield "line" if mark.width else "point", x, y, None, None


@_rows.register(Points)
def _(mark: Points) -> Iterator[tuple[Any, ...]]:
    for x, y in zip(mark.x, mark.y, strict=True):
        yield "held out" if mark.hollow else "run", x, y, None, None


@_rows.register(Interval)
def _(mark: Interval) -> Iterator[tuple[Any, ...]]:
    yield "interval", mark.x, mark.y, mark.low, mark.high


@_rows.register(Grid)
def _(mark: Grid) -> Iterator[tuple[Any, ...]]:
    for row, line in zip(mark.rows, mark.values, strict=True):
        for column, value in zip(mark.columns, line, strict=True):
            yield "cell", column, value, row, None
