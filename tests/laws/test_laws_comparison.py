"""Speed-up, crossings, ranks and consistency, on the paper's published coefficients."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_runs import JOINT_TRUTH, joint_rows

from synthlaw.common.errors import UsageError
from synthlaw.laws.answer import reference
from synthlaw.laws.answer.comparison import (
    consistency,
    crossings,
    floor_difference,
    ranking,
    size_to_reach,
    speedup,
    vectors_of,
)
from synthlaw.laws.answer.summary import comparison_summary
from synthlaw.laws.api import fit_laws
from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.table import RunsTable

DATA = {law.mixture: law for law in reference.data_laws()}
MODEL = {law.mixture: law for law in reference.model_laws()}


@pytest.mark.parametrize(
    ("tokens", "expected"), [(10, 1.96), (20, 2.53), (50, 3.97), (100, 6.07), (200, 9.89)]
)
def test_speed_up_of_a_third_rephrased(tokens: float, expected: float) -> None:
    """The paper's "5-10x at larger budgets" (abstract), from its Table 4."""
    found = speedup(DATA["CC"], DATA["33HQ"], tokens * 1e9)
    assert round(found["speedup"], 2) == expected
    assert found["inverse_infinite"] == (tokens >= 50)


def test_the_inverse_is_the_other_mixtures_speed_up() -> None:
    forward = speedup(DATA["CC"], DATA["33HQ"], 5e9)
    back = speedup(DATA["33HQ"], DATA["CC"], 5e9)
    assert forward["inverse"] == pytest.approx(1 / back["speedup"])


@pytest.mark.parametrize(
    ("name", "expected"), [("33TXBK", 21.67), ("HQ", 119.61), ("67TXBK", 651.49), ("QA", 3.07)]
)
def test_crossings_in_tokens(name: str, expected: float) -> None:
    found = crossings(DATA["CC"], DATA[name], "tokens", low=1e9, high=1e13)
    assert [round(c.at / 1e9, 2) for c in found] == [expected]
    assert found[0].below_after == name


def test_crossings_in_params_and_none_at_all() -> None:
    found = crossings(MODEL["CC"], MODEL["QA"], "params")
    assert [round(c.at / 1e9, 3) for c in found] == [0.485, 2.031]
    assert crossings(DATA["CC"], DATA["TXBK"], "tokens", low=1e9, high=1e13) == []


def test_the_tables_meet_but_for_qa() -> None:
    apart = {name: consistency(DATA[name], MODEL[name], reference.fit_error()) for name in DATA}
    assert {name for name, row in apart.items() if not row["consistent"]} == {"CC", "QA", "67QA"}
    assert f"{apart['QA']['relative']:.1%}" == "3.5%"
    assert round(apart["33HQ"]["joint_floor_from_data_law"], 4) == 2.0657
    assert round(apart["33HQ"]["joint_floor_from_model_law"], 4) == 2.0699


@settings(max_examples=40, deadline=None)
@given(st.floats(1e8, 1e11), st.floats(1e9, 1e13), st.sampled_from(sorted(DATA)))
def test_tokens_to_reach_a_loss_reach_it(params: float, tokens: float, name: str) -> None:
    law = {law.mixture: law for law in reference.joint_laws()}[name]
    loss = law.predict(params=params, tokens=tokens)
    for variable, value in (("tokens", tokens), ("params", params)):
        others = {"params": params, "tokens": tokens}
        found = size_to_reach(law, vectors_of(law)[:1], loss, variable, others)
        assert found[0] == pytest.approx(value, rel=1e-6)


def test_a_loss_below_the_floor_is_never_reached() -> None:
    law = DATA["CC"]
    found = size_to_reach(law, vectors_of(law), np.array([2.5]), "tokens", {})
    assert math.isinf(found[0])
    never = speedup(DATA["CC"], DATA["TXBK"], 1e11)
    assert (never["speedup"], never["tokens_to_baseline_loss"]) == (0.0, None)


@pytest.fixture(scope="module")
def two() -> list[LawFit]:
    better = {**JOINT_TRUTH, "E": 1.75, "B": 1.0}
    rows = [
        *joint_rows(mixture="CC", synthetic_ratio=0.0),
        *joint_rows(better, mixture="33HQ", synthetic_ratio=0.33, seed=1),
    ]
    return list(fit_laws(RunsTable.from_rows(rows), "joint", bootstrap=200))


def test_fitted_laws_compare_with_intervals(two: list[LawFit]) -> None:
    base, mix = two
    found = speedup(base, mix, 1e11, params=1e9)
    low, high = found["interval"]
    assert low <= found["speedup"] <= high
    assert 0.9 < found["probability_faster"] <= 1
    crossing = crossings(base, mix, "tokens", params=1e9)
    truth = (0.1 / 0.05) ** (1 / 0.3) * 1e9
    assert crossing[0].interval[0] <= truth <= crossing[0].interval[1]
    gap = floor_difference(mix, base)
    assert gap["difference"] == pytest.approx(-0.05, abs=0.1)
    assert gap["interval"][0] <= gap["difference"] <= gap["interval"][1]


def test_ranks_follow_losses_and_probabilities_add_up(two: list[LawFit]) -> None:
    far = ranking(two, params=1e9, tokens=1e12)
    near = ranking(two, params=1e9, tokens=1e9)
    assert [row["mixture"] for row in far] == ["33HQ", "CC"]
    assert [row["mixture"] for row in near] == ["CC", "33HQ"]
    assert sum(row["probability_best"] for row in far) == pytest.approx(1.0)
    assert far[0]["probability_best"] > 0.9


def test_summary_against_a_baseline(two: list[LawFit]) -> None:
    found = comparison_summary(two, "CC")
    assert [row["mixture"] for row in found["mixtures"]] == ["33HQ"]
    assert set(found["mixtures"][0]["crossings"]) == {"params", "tokens"}
    with pytest.raises(UsageError, match="expected one of CC, 33HQ"):
        comparison_summary(two, "QA")


def test_laws_survive_json(two: list[LawFit]) -> None:
    again = LawFit.from_json(two[0].to_json(replicates=100), "place")
    assert again.predict(params=1e9, tokens=1e10) == two[0].predict(params=1e9, tokens=1e10)
    assert again.replicates.shape == (100, 5)
    assert again.prediction(params=1e9, tokens=1e12)["interval"]
    with pytest.raises(UsageError, match="place: found KeyError"):
        LawFit.from_json({"law": "data"}, "place")
