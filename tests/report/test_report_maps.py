"""Charts over sizes and budgets show the numbers of `recommend` and of the laws."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from report_study import write_study

from synthlaw.laws.answer import reference
from synthlaw.laws.answer.advice import recommend
from synthlaw.laws.answer.options import Situation
from synthlaw.report.artifacts import Study
from synthlaw.report.chart import Band, Chart, Line
from synthlaw.report.chart_kinds import study_charts
from synthlaw.report.chart_table import chart_csv
from synthlaw.report.charts import (
    best_mixture,
    best_share,
    break_even,
    data_scaling,
    extrapolation_error,
    loss_contours,
    speedup,
)
from synthlaw.report.paper_laws import study_of_paper
from synthlaw.report.reading import read_study
from synthlaw.report.situations import joint_laws


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return read_study(write_study(tmp_path_factory.mktemp("maps") / "study"))


@pytest.fixture(scope="module")
def paper() -> Study:
    return study_of_paper()


def lines(chart: Chart | None) -> dict[str, Line]:
    """The first panel's curves by the legend's names."""
    assert chart is not None
    names = {ink.ref: name for name, ink in chart.legend}
    return {
        names[mark.ink.ref]: mark
        for mark in chart.panels[0].marks
        if isinstance(mark, Line) and mark.ink.ref in names
    }


def test_every_point_of_a_contour_has_its_loss(study: Study) -> None:
    chart = loss_contours.of_study(study)
    assert chart is not None
    laws = {law.mixture: law for law in joint_laws(study)}
    level = {ink.ref: float(name.removeprefix("loss ")) for name, ink in chart.legend}
    for panel in chart.panels:
        drawn = [m for m in panel.marks if isinstance(m, Line) and m.ink.ref in level]
        assert drawn
        for line in drawn:
            losses = laws[panel.label].predict(params=np.array(line.x), tokens=np.array(line.y))
            assert losses == pytest.approx(level[line.ink.ref], abs=1e-6)


@pytest.mark.parametrize("which", ["study", "paper"])
def test_speed_up_and_worth_are_those_of_recommend(
    which: str, request: pytest.FixtureRequest
) -> None:
    found: Study = request.getfixturevalue(which)
    assert found.advice is not None and found.advice.params is not None
    params = found.advice.params
    laws = reference.laws_at(params) if which == "paper" else found.cases[0].laws
    speeds, worths = lines(speedup.of_study(found)), lines(break_even.of_study(found))
    for place in (3, 12, 22):
        tokens = speeds["33HQ"].x[place]
        answer = recommend(laws, Situation(params, tokens))
        rows = {row["mixture"]: row for row in answer["options"]}
        for name, line in speeds.items():
            shown = dict(zip(line.x, line.y, strict=True)).get(tokens)
            if shown is not None and rows[name]["speedup"] > speedup.LEAST:
                assert shown == pytest.approx(rows[name]["speedup"])
        for name, line in worths.items():
            shown = dict(zip(line.x, line.y, strict=True)).get(tokens)
            account = rows[name]["equal_loss"]
            if shown is not None:
                saved = account["training_flops_saved"] / account["tokens_generated"]
                assert shown == pytest.approx(saved)


def test_the_map_names_the_mixture_that_recommend_names(study: Study) -> None:
    chart = best_mixture.of_study(study)
    assert chart is not None
    names = {ink.ref: name for name, ink in chart.legend}
    marks = [m for m in chart.panels[0].marks if isinstance(m, Line) and m.ink.ref in names]
    assert sum(len(mark.x) for mark in marks) == best_mixture.CELLS**2
    for mark in marks:
        params, tokens = mark.x[0], mark.y[0]
        assert tokens is not None
        found = recommend(study.cases[0].laws, Situation(params, tokens))
        best = found["best"] or found["baseline"]
        assert names[mark.ink.ref] == best["mixture"]
        assert (mark.size == best_mixture.LARGE) == (best["probability_best"] >= best_mixture.SURE)


def test_the_best_share_is_that_of_the_lowest_run(study: Study) -> None:
    chart = best_share.of_study(study)
    assert chart is not None
    assert [panel.label for panel in chart.panels] == ["HQ"], "three shares of HQ alone were run"
    line = chart.panels[0].marks[0]
    assert isinstance(line, Line)
    size = min(study.sizes())
    for tokens, share in zip(line.x, line.y, strict=True):
        here = [
            run
            for run in study.finished_runs()
            if (run.params, run.tokens) == (size, tokens) and run.synthetic_type in ("", "HQ")
        ]
        best = min(here, key=lambda run: run.loss or 0.0)
        assert share == pytest.approx(100 * (best.synthetic_ratio or 0.0))


def test_errors_are_those_of_the_runs_held_out(study: Study) -> None:
    shown = lines(extrapolation_error.of_study(study))
    for name, mark in shown.items():
        errors = [
            100 * row["error"]
            for law in study.laws
            if law.mixture == name and law.holdout
            for row in law.holdout.rows
        ]
        assert set(map(float, mark.y)) <= set(errors)  # type: ignore[arg-type]
        assert all(x > 1 for x in mark.x)


def test_curves_go_on_far_beyond_the_runs_with_wider_bands(study: Study) -> None:
    chart = data_scaling.of_study(study)
    assert chart is not None
    far, near = chart.panels[-1], chart.panels[chart.start]
    assert far.fitted == pytest.approx(max(study.budgets())) and near.fitted is None
    assert far.title == near.title, "the same size"
    bands = [
        next(m for m in panel.marks if isinstance(m, Band) and m.mixture == 0)
        for panel in (near, far)
    ]  # fmt: skip
    widths = [band.high[-1] - band.low[-1] for band in bands]
    assert bands[1].x[-1] > 75 * max(study.budgets()) and widths[1] > 2 * widths[0]


def test_the_paper_page_has_its_figures(paper: Study) -> None:
    charts = study_charts(paper)
    assert {"data_scaling", "model_scaling", "floors", "loss_contours", "speedup"} <= set(charts)
    ends = {name: charts[name].panels[-1].marks[0] for name in ("data_scaling", "model_scaling")}
    reach = {name: max(mark.x) for name, mark in ends.items() if isinstance(mark, Line)}
    last = {
        name: max(max(m.x) for m in charts[name].panels[-1].marks if isinstance(m, Line))
        for name in reach
    }
    assert last["data_scaling"] >= 8e12 and last["model_scaling"] >= 200e9


def test_a_chart_is_a_table_too(study: Study) -> None:
    chart = data_scaling.of_study(study)
    assert chart is not None
    rows = list(csv.DictReader(io.StringIO(chart_csv(chart))))
    assert {row["measure"] for row in rows} == {"value", "difference"}
    assert {"CC", "33HQ"} <= {row["name"] for row in rows}
    runs = [row for row in rows if row["mark"] == "run" and row["measure"] == "value"]
    known = {(run.tokens, run.loss) for run in study.finished_runs()}
    assert runs and all((float(row["x"]), float(row["y"])) in known for row in runs)


def test_laws_of_one_variable_have_no_maps(study: Study, tmp_path: Path) -> None:
    from dataclasses import replace

    case = study.cases[0]
    data = [law for law in case.laws if law.law == "data"]
    alone = replace(study, cases=[replace(case, laws=data)])
    assert loss_contours.of_study(alone) is None and best_mixture.of_study(alone) is None
