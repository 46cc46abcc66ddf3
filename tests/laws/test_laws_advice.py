"""`recommend`: ranks, costs, repetition and warnings."""

from __future__ import annotations

import json

import numpy as np
import pytest
from simulated_runs import JOINT_TRUTH, joint_rows, share_rows

from synthlaw.common.errors import UsageError
from synthlaw.laws.answer import reference
from synthlaw.laws.answer.advice import recommend
from synthlaw.laws.answer.costs import Costs, account
from synthlaw.laws.answer.options import Situation
from synthlaw.laws.api import fit_laws
from synthlaw.laws.table import RunsTable


def test_reference_laws_answer_alone() -> None:
    found = recommend(reference.joint_laws(), Situation(1e9, 1e11))
    assert found["baseline"]["mixture"] == "CC"
    assert found["best"]["synthetic_ratio"] in (0.33, 0.67)
    assert len(found["options"]) == 9
    losses = [row["loss"] for row in found["options"]]
    assert losses == sorted(losses)
    assert {"inconsistent-laws"} <= {w["code"] for w in found["warnings"]}
    json.dumps(found, allow_nan=False)


def test_a_third_rephrased_speeds_up_as_published() -> None:
    """The joint laws meet the tables where those meet: at 1B parameters, near 100B tokens."""
    found = recommend(reference.joint_laws(), Situation(1e9, 1e11))
    row = next(row for row in found["options"] if row["mixture"] == "33HQ")
    assert 5 < row["speedup_interval"][0] < row["speedup"] < row["speedup_interval"][1] < 10
    assert row["inverse_infinite"]
    assert row["tokens_to_generate"] == pytest.approx(33e9)


def test_costs_add_up() -> None:
    costs = Costs(generator=0.5, training=2e-18, gpu_flops=4e14, generator_speed=5000.0)
    found = recommend(reference.joint_laws(), Situation(7e9, 2e11, costs=costs))["best"]
    equal = found["equal_loss"]
    needed = found["tokens_to_baseline_loss"]
    assert equal["training_tokens_saved"] == pytest.approx(2e11 - needed)
    assert equal["training_flops_saved"] == pytest.approx(6 * 7e9 * (2e11 - needed))
    spent = found["synthetic_ratio"] * needed / 1e6 * 0.5
    assert equal["generation_money_spent"] == pytest.approx(spent)
    saved = equal["training_flops_saved"] * 2e-18
    assert equal["net_money_saved"] == pytest.approx(saved - spent)
    dear = Costs(generator=equal["break_even_generator_cost"], training=2e-18)
    again = recommend(reference.joint_laws(), Situation(7e9, 2e11, costs=dear))["best"]
    assert again["equal_loss"]["net_money_saved"] == pytest.approx(0.0, abs=1e-6 * saved)
    assert equal["generation_gpu_hours"] == pytest.approx(equal["tokens_generated"] / 5000 / 3600)


def test_generation_that_never_pays_is_a_warning() -> None:
    dear = Costs(generator=500.0, training=1e-20)
    found = recommend(reference.joint_laws(), Situation(1e9, 1e10, costs=dear))
    assert found["best"]["equal_loss"]["net_money_saved"] < 0
    assert "generation-costs-more" in [w["code"] for w in found["warnings"]]
    assert found["best"]["break_even_tokens"] is None


def test_break_even_budget_is_where_the_account_turns() -> None:
    costs = Costs(generator=1.0, training=1e-18)
    laws = reference.joint_laws()
    even = recommend(laws, Situation(3e9, 1e11, costs=costs))["best"]["break_even_tokens"]
    best = recommend(laws, Situation(3e9, 1e11, costs=costs))["best"]["mixture"]

    def net(tokens: float) -> float:
        rows = recommend(laws, Situation(3e9, tokens, costs=costs))["options"]
        return next(row for row in rows if row["mixture"] == best)["equal_loss"]["net_money_saved"]

    assert net(even * 1.2) > 0 > net(even / 1.3)


def test_account_leaves_out_what_has_no_price() -> None:
    bare = account(1e9, np.array([1e9]), np.array([1e8]), Costs())
    assert set(bare) == {"training_tokens_saved", "training_flops_saved", "tokens_generated"}
    with pytest.raises(UsageError, match="expected a positive number"):
        Costs(gpu_flops=0.0)


def test_short_natural_supply_favours_synthetic_text() -> None:
    ample = recommend(reference.joint_laws(), Situation(1e9, 1e11))
    short = recommend(reference.joint_laws(), Situation(1e9, 1e11, natural_tokens=5e9))
    assert ample["repetition"] is None
    found = short["repetition"]
    assert found["epochs"] == pytest.approx(20.0)
    assert found["loss_repeating_natural"] > found["loss_with_unlimited_natural"]
    assert found["better"] == "synthetic"
    codes = {w["code"] for w in short["warnings"]}
    assert {"repetition", "many-rephrasings"} <= codes
    assert short["baseline"]["fresh_token_worth"] < 1e11


def test_extrapolation_is_measured_and_flagged() -> None:
    found = recommend(reference.joint_laws(), Situation(7e10, 2e12))
    assert found["extrapolation"] == {"params": pytest.approx(35), "tokens": pytest.approx(20)}
    assert [w["code"] for w in found["warnings"]].count("extrapolation") == 2


def test_no_gain_means_natural_text() -> None:
    worse = {**JOINT_TRUTH, "E": 2.2}
    rows = [
        *joint_rows(mixture="CC", synthetic_ratio=0.0),
        *joint_rows(worse, mixture="TXBK", synthetic_ratio=1.0),
    ]
    laws = fit_laws(RunsTable.from_rows(rows), "joint", bootstrap=30)
    found = recommend(list(laws), Situation(1e9, 1e10))
    assert found["best"] is None
    assert "natural text alone" in found["advice"]


def test_ratio_laws_give_a_share_with_an_interval() -> None:
    laws = fit_laws(RunsTable.from_rows(share_rows()), "ratio", bootstrap=60)
    found = recommend(list(laws), Situation(1e9, 5e10))["best"]
    assert found["ratio_interval"][0] <= found["synthetic_ratio"] <= found["ratio_interval"][1]
    short = recommend(list(laws), Situation(1e9, 5e10, natural_tokens=2e9))["best"]
    assert short["synthetic_ratio"] >= found["synthetic_ratio"]


def test_data_and_model_laws_are_combined() -> None:
    sizes, budgets = tuple(np.geomspace(1e8, 3e9, 7)), tuple(np.geomspace(1e9, 1e11, 7))
    rows = []
    for name, law, share in (
        ("CC", JOINT_TRUTH, 0.0),
        ("33HQ", {**JOINT_TRUTH, "E": 1.7}, 0.33),
    ):
        rows += joint_rows(law, sizes=sizes, budgets=(1e10,), mixture=name, synthetic_ratio=share)
        rows += joint_rows(law, sizes=(1e9,), budgets=budgets, mixture=name, synthetic_ratio=share)
    table = RunsTable.from_rows(rows)
    laws = [
        *fit_laws(table, "data", at={"params": 1e9}, bootstrap=60),
        *fit_laws(table, "model", at={"tokens": 1e10}, bootstrap=60),
    ]
    found = recommend(laws, Situation(3e9, 1e11))
    assert found["best"]["law"] == "data+model"
    assert found["best"]["difference"] == pytest.approx(-0.1, abs=0.05)
    alone = recommend(laws[:2], Situation(3e9, 1e11))
    assert "other-size" in [w["code"] for w in alone["warnings"]]


def test_the_baseline_must_be_known() -> None:
    rows = [*joint_rows(mixture="a"), *joint_rows(mixture="b", seed=1)]
    laws = list(fit_laws(RunsTable.from_rows(rows), "joint", bootstrap=0))
    with pytest.raises(UsageError, match="--baseline"):
        recommend(laws, Situation(1e9, 1e10))
    found = recommend(laws, Situation(1e9, 1e10, baseline="a"))
    codes = {w["code"] for w in found["warnings"]}
    assert {"unknown-share", "no-intervals"} <= codes
    with pytest.raises(UsageError, match="no laws"):
        recommend([], Situation(1e9, 1e10))


def test_at_the_tables_own_size_the_table_itself_answers() -> None:
    found = recommend(reference.laws_at(1e9), Situation(1e9, 1e11))
    row = next(row for row in found["options"] if row["mixture"] == "33HQ")
    assert round(row["speedup"], 2) == 6.07
    assert "other-size" not in {w["code"] for w in found["warnings"]}
    assert "inconsistent-laws" in {w["code"] for w in found["warnings"]}
    assert all(law.law == "joint" for law in reference.laws_at(7e9))
