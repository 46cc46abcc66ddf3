"""The registry of charts: a new chart is one new file, on the page and among the figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_study import read_island, write_study

from synthlaw.report import charts
from synthlaw.report.build import build_report
from synthlaw.report.chart import AxisSpec, Chart, Grid, Panel
from synthlaw.report.plotly_charts import plotly_figure

PLUG_IN = '''
"""Losses of all runs against their compute."""

from synthlaw.report.chart import TEXT, AxisSpec, Chart, Panel, Points


def of_study(study):
    runs = sorted(study.finished_runs(), key=lambda run: run.run)
    if not runs:
        return None
    x, y = [6 * run.params * run.tokens for run in runs], [run.loss for run in runs]
    marks = [Points(TEXT, x, y, [run.run for run in runs])]
    return Chart([Panel(AxisSpec("FLOP", log=True), AxisSpec("loss"), marks, label="all")])
'''


def test_a_new_chart_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plug-ins").mkdir()
    (tmp_path / "plug-ins" / "loss_by_compute.py").write_text(PLUG_IN)
    monkeypatch.setattr(charts, "__path__", [*charts.__path__, str(tmp_path / "plug-ins")])
    study = write_study(tmp_path / "study")
    (study / "laws.json").unlink()  # whose charts this is not about
    page = build_report(study)
    figures = page.parent / "figures"
    assert (figures / "loss_by_compute.svg").is_file() and (figures / "ratio.svg").is_file()
    text = page.read_text(encoding="utf-8")
    assert 'id="plot-loss_by_compute"' in text and "Further charts" in text
    island = read_island(text)
    [view] = island["charts"]["loss_by_compute"]["views"]
    [trace] = view["figure"]["data"]
    assert len(trace["x"]) == len(trace["text"]) > 10
    assert trace["marker"]["color"] in island["palette"]["dark"]


def test_the_page_without_further_charts_has_no_section_for_them(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study")
    for path in study.iterdir():
        if path.is_file() and path.name != "advice.json":
            path.unlink()
    assert "Further charts" not in build_report(study).read_text(encoding="utf-8")


def test_what_the_page_cannot_draw_is_refused_by_name() -> None:
    panel = Panel(AxisSpec(""), AxisSpec(""), [Grid([[1.0]], ["a"], ["b"])])
    assert not list(Chart([panel]).inks())
    with pytest.raises(TypeError, match="Grid"):
        plotly_figure(panel)
