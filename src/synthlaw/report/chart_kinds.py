"""Kinds of charts: every module of `charts/` is one, so a new chart is one new file.

Such a module has `of_study(study)` or `of_statistics(comparison)`, which gives a `Chart`, or None
where the numbers are missing. Its name is that of its files, and of its place on the page: a chart
that no section of the page names stands at the page's end.
"""

from __future__ import annotations

import pkgutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from synthlaw.common.files import write_text
from synthlaw.report.artifacts import Study
from synthlaw.report.chart import Chart
from synthlaw.report.chart_table import chart_csv
from synthlaw.report.comparison import Comparison, read_comparison
from synthlaw.report.drawing import drawing, svg_text, write_drawn
from synthlaw.report.matplotlib_charts import matplotlib_figure

_CHARTS = "synthlaw.report.charts"


def study_charts(study: Study) -> dict[str, Chart]:
    """Every chart that the study has numbers for, by name."""
    found = _made("of_study", study)
    if study.comparison is not None:
        found |= statistics_charts(study.comparison)
    return found


def statistics_charts(found: Comparison) -> dict[str, Chart]:
    """Every chart that the statistics have numbers for, by name."""
    return _made("of_statistics", found)


def _made(function: str, given: Study | Comparison) -> dict[str, Chart]:
    found = {}
    for module in pkgutil.iter_modules(import_module(_CHARTS).__path__):
        make = getattr(import_module(f"{_CHARTS}.{module.name}"), function, None)
        chart: Chart | None = make(given) if make else None
        if chart is not None:
            found[module.name] = chart
    return found


def write_charts(charts: dict[str, Chart], folder: Path) -> list[str]:
    """Write every chart as SVG, PNG, PDF and CSV into `folder`; gives the files' names."""
    with drawing():
        drawn = write_drawn({n: matplotlib_figure(chart) for n, chart in charts.items()}, folder)
    for name, chart in charts.items():
        write_text(folder / f"{name}.csv", chart_csv(chart))
        drawn.append(f"{name}.csv")
    return drawn


def picture(chart: Chart) -> str:
    """The panel that the page opens with, as SVG: what a browser without scripts shows."""
    with drawing():
        return svg_text(matplotlib_figure(replace(chart, panels=[chart.panels[chart.start]])))


def draw_statistics(tables: Path, folder: Path) -> list[str]:
    """Draw what the tables in `tables` hold into `folder`; gives the files' names."""
    found = read_comparison(tables)
    return [] if found is None else write_charts(statistics_charts(found), folder)
