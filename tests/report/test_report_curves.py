"""Curves: the law that a view shows, what was held out, differences, bands, axis labels."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_study import BUDGETS, SIZES, TRUE_LAWS, write_study

from synthlaw.report.artifacts import Advice, Law, Run, Study
from synthlaw.report.contrasts import against_baseline
from synthlaw.report.curves import (
    TICK_GAP,
    axis_ticks,
    default_view,
    fit_of,
    floors,
    round_ticks,
    views,
)
from synthlaw.report.reading import read_study
from synthlaw.report.sections import floor_table

MIXTURES = list(TRUE_LAWS)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return read_study(write_study(tmp_path_factory.mktemp("curves") / "study"))


def law(kind: str, coefficients: dict[str, float], **more: object) -> Law:
    unit = {"params": 1e6, "tokens": 1e6}
    fields = {"mixture": "CC", "law": kind, "coefficients": coefficients, "unit": unit, **more}
    return Law.model_validate(fields)


def a_run(params: float, tokens: float, mixture: str = "CC", loss: float = 5.0) -> Run:
    return Run(f"{mixture}-{params}-{tokens}", mixture, params, tokens, loss)


def test_a_joint_law_is_read_as_its_formula() -> None:
    true = TRUE_LAWS["33QA"]
    values = {"E": true.E, "A": true.A, "alpha": true.alpha, "B": true.B, "beta": true.beta}
    fit = fit_of(law("joint", values))
    assert fit is not None
    predicted = fit.predict(params=3e5, tokens=np.array(BUDGETS, float))
    expected = [true.loss(3e5, tokens) for tokens in BUDGETS]
    np.testing.assert_allclose(predicted, expected, rtol=1e-12)


def test_laws_that_are_not_of_losses_or_not_known_are_left_to_the_table() -> None:
    assert fit_of(law("ratio", {"E": 3.0})) is None
    assert fit_of(law("joint", {"E": 3.0}, form="of-a-later-version")) is None
    assert fit_of(law("data", {"E": 3.0})) is None, "a coefficient is missing"


def test_each_view_shows_the_law_fitted_there(study: Study) -> None:
    for view in views(study, "tokens", MIXTURES):
        for curve in view.curves:
            assert curve.law is not None and curve.law.law == "data"
            assert curve.law.fixed_at("params") == pytest.approx(view.fixed)
            held = {point.x for point in curve.points if point.held_out}
            assert held == {BUDGETS[-1]} and curve.reach == BUDGETS[-2]
            near = np.interp(math.log(BUDGETS[1]), np.log(curve.x), curve.loss)
            assert near == pytest.approx(
                TRUE_LAWS[curve.mixture].loss(view.fixed, BUDGETS[1]), 0.02
            )


def test_bands_hold_the_curve_and_need_replicates(study: Study) -> None:
    curve = views(study, "tokens", ["33HQ"])[-1].curves[0]
    assert len(curve.low) == len(curve.loss) > 0
    inside = [a <= y <= b for a, y, b in zip(curve.low, curve.loss, curve.high, strict=True)]
    assert np.mean(inside) > 0.9
    bare = [law.model_copy(update={"replicates": None}) for law in study.laws]
    curve = views(dataclasses.replace(study, laws=bare), "tokens", ["33HQ"])[-1].curves[0]
    assert curve.loss and not curve.low and not curve.high


def test_a_question_off_the_grid_has_a_view_of_joint_laws(study: Study) -> None:
    found = views(study, "params", MIXTURES)
    assert [view.fixed for view in found] == [*BUDGETS, 400_000, BUDGETS[-1]]
    asked = found[-2]
    assert asked.question == SIZES[-1] and not any(curve.points for curve in asked.curves)
    assert all(curve.law is not None and curve.law.law == "joint" for curve in asked.curves)
    assert default_view(found) == len(BUDGETS) - 1, "it opens on the largest budget with runs"


def test_a_budget_rounded_to_batches_is_the_one_asked_for() -> None:
    advice = {"advice": "x", "params": 1e5, "tokens": 8000}
    runs = [a_run(1e5, tokens) for tokens in (2048, 4096, 8192)]
    study = Study(
        "s",
        runs=runs,
        advice=Advice.model_validate(advice),
        laws=[law("joint", {"E": 3.0, "A": 1.0, "alpha": 0.3, "B": 1.0, "beta": 0.3})],
    )
    assert [view.fixed for view in views(study, "params", ["CC"])] == [2048, 4096, 8192, 8192]


def test_differences_are_to_the_baseline_of_the_same_place(study: Study) -> None:
    view = views(study, "tokens", MIXTURES)[-1]
    contrast = against_baseline(study, view, "CC")
    assert contrast is not None and contrast.baseline == "CC"
    losses = {
        (run.mixture, run.tokens): run.loss
        for run in study.finished_runs()
        if run.params == view.fixed
    }
    for curve in contrast.curves:
        for point in curve.points:
            base = losses["CC", point.x]
            assert point.loss == pytest.approx((losses[curve.mixture, point.x] or 0) - (base or 0))
    own = next(curve for curve in contrast.curves if curve.mixture == "CC")
    assert set(own.loss) == {0.0} and not own.low
    other = next(curve for curve in contrast.curves if curve.mixture == "100HQ")
    assert min(other.loss) > 0 and len(other.low) == len(other.loss)
    assert against_baseline(study, view, "absent") is None


def test_a_baseline_with_seeds_is_its_mean() -> None:
    runs = [a_run(1e5, 1e5, loss=5.0), a_run(1e5, 1e5, loss=5.2), a_run(1e5, 1e5, "33HQ", 5.0)]
    study = Study("s", runs=runs)
    contrast = against_baseline(study, views(study, "tokens", ["CC", "33HQ"])[0], "CC")
    assert contrast is not None
    assert [p.loss for p in contrast.curves[0].points] == pytest.approx([-0.1, 0.1])
    assert [p.loss for p in contrast.curves[1].points] == pytest.approx([-0.1])


def test_floors_come_from_joint_laws_else_from_the_largest_size(study: Study) -> None:
    kind, laws = floors(study)
    assert kind == "joint" and {law.mixture for law in laws} == set(TRUE_LAWS)
    without = dataclasses.replace(study, laws=[law for law in study.laws if law.law != "joint"])
    kind, laws = floors(without)
    assert kind == "data"
    assert [law.fixed_at("params") for law in laws] == pytest.approx([SIZES[-1]] * len(TRUE_LAWS))
    assert floors(Study("s")) == ("", [])


@given(st.lists(st.floats(1.0, 1e13), min_size=1, max_size=40))
def test_axis_labels_lie_within_the_values_and_apart(values: list[float]) -> None:
    ticks = axis_ticks(values)
    assert ticks == sorted(ticks) and len(ticks) <= 7
    assert all(min(values) <= tick <= max(values) for tick in ticks)
    if len(set(values)) > 1 and set(ticks) <= set(values):
        span = math.log(max(values) / min(values))
        gaps = np.diff(np.log(ticks))
        assert (gaps >= TICK_GAP * span - 1e-9).all()


@pytest.mark.parametrize("ends", [(0.9, 1.3), (0.05, 16.0), (1e7, 4e11), (1.02, 2.1), (3.0, 3.3)])
def test_a_logarithmic_axis_has_several_round_labels(ends: tuple[float, float]) -> None:
    ticks = round_ticks(*ends)
    assert 2 <= len(ticks) <= 7 and ticks == sorted(ticks)
    assert all(ends[0] <= tick <= ends[1] for tick in ticks)
    assert all(float(f"{tick:.2g}") == pytest.approx(tick) for tick in ticks), "two digits say it"


def test_a_floor_that_the_runs_leave_open_has_no_rank() -> None:
    def law(mixture: str, floor: float, span: tuple[float | None, float | None]) -> Law:
        return Law(mixture=mixture, law="joint", coefficients={"E": floor}, intervals={"E": span})

    laws = [
        law("open", 0.0, (0.0, 6.149)),
        law("endless", 0.5, (0.2, None)),
        law("high", 2.0, (1.9, 2.1)),
        law("low", 1.5, (1.4, 1.6)),
    ]
    table = floor_table(Study(name="s", laws=laws))
    assert table is not None and table.scale is not None
    assert [row.mixture for row, _ in table.rows] == ["low", "high", "open", "endless"]
    assert [mark is not None for _, mark in table.rows] == [True, True, False, False]
    assert table.scale.high < 3, "open floors do not stretch the scale"
