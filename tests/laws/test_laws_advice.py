"""`recommend`: ranks, costs, repetition and warnings."""

from __future__ import annotations

import json

import numpy as np
import pytest
from simulated_runs import JOINT_TRUTH, joint_loss, joint_rows, share_rows

from synthlaw.common.errors import UsageError
from synthlaw.laws.answer import reference
from synthlaw.laws.answer.advice import recommend
from synthlaw.laws.answer.costs import Costs, account
from synthlaw.laws.answer.options import Situation
from synthlaw.laws.answer.wording import bounded, money
from synthlaw.laws.api import fit_laws
from synthlaw.laws.lawfit import LawFit
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


def one_mixture() -> list[LawFit]:
    return list(fit_laws(RunsTable.from_rows(joint_rows()), "joint", bootstrap=80))


def test_one_mixture_gives_its_loss_and_the_best_split() -> None:
    params, tokens = 2e9, 4e10
    found = recommend(one_mixture(), Situation(params, tokens))
    assert found["options"] == [] and found["best"] is None
    truth = joint_loss(JOINT_TRUTH, params, tokens)
    assert found["baseline"]["loss"] == pytest.approx(truth, rel=0.005)
    split = found["compute_optimal"]
    assert split["params"] * split["tokens"] == pytest.approx(params * tokens)
    sizes = np.geomspace(1e8, 1e11, 4001)
    losses = [joint_loss(JOINT_TRUTH, n, params * tokens / n) for n in sizes]
    assert split["params"] == pytest.approx(sizes[np.argmin(losses)], rel=0.2)
    assert split["params_interval"][0] < split["params"] < split["params_interval"][1]
    assert split["loss"] <= found["baseline"]["loss"]
    for part in ("expected loss", "FLOP are best spent on", "a second one", "--by mixture"):
        assert part in found["advice"]
    assert 0 < found["resolvable_difference"] < 0.1
    json.dumps(found, allow_nan=False)


def test_one_law_of_one_variable_gives_its_loss_alone() -> None:
    laws = fit_laws(RunsTable.from_rows(joint_rows(sizes=(1e9,))), "data", bootstrap=40)
    found = recommend(list(laws), Situation(1e9, 2e11))
    assert found["compute_optimal"] is None and found["baseline"]["loss"] > 0
    assert found["extrapolation"]["tokens"] == pytest.approx(2.0)
    with pytest.raises(UsageError, match="baseline"):
        recommend(list(laws), Situation(1e9, 2e11, baseline="nothing"))


@pytest.mark.parametrize(
    ("params", "tokens", "meant"),
    [(7.0, 2e12, "7B"), (7e9, 2.0, "2B"), (7e3, 2e11, "7B"), (7e18, 1e11, ""), (1e9, 2e17, "")],
)
def test_absurd_sizes_are_refused_with_what_was_meant(
    params: float, tokens: float, meant: str
) -> None:
    with pytest.raises(UsageError) as error:
        recommend(reference.laws_at(params), Situation(params, tokens))
    text = str(error.value)
    assert "times" in text and ("Did you mean" in text) == bool(meant) and meant in text


@pytest.mark.parametrize(
    "costs",
    [{"training": 2.0}, {"generator": 1e9}, {"gpu_flops": 400.0}, {"generator_speed": 1e12},
     {"training": float("nan")}, {"generator": float("inf")}, {"generator": -1.0}],
)  # fmt: skip
def test_absurd_prices_are_refused(costs: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="expected"):
        Costs(**costs)


def test_absurd_supplies_are_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 500B"):
        recommend(reference.joint_laws(), Situation(1e9, 1e12, natural_tokens=500.0))
    with pytest.raises(UsageError, match="decay"):
        Situation(1e9, 1e12, decay=1e9)


def test_intervals_widen_with_the_distance() -> None:
    laws = one_mixture()
    assert set(laws[0].drift) == {"params", "tokens", "compute"}

    def width(tokens: float) -> float:
        row = recommend(laws, Situation(1e9, tokens))["baseline"]
        return float((row["interval"][1] - row["interval"][0]) / row["loss"])

    inside, near, far = width(1e11), width(1e12), width(1e13)
    assert inside < near < far
    laws[0].drift = {"params": 0.02, "tokens": 0.02}
    # 1.645 deviations of 2% for each factor of e, on both sides.
    assert width(1e12) == pytest.approx(2 * 1.645 * 0.02 * np.log(10), rel=0.3)
    assert width(1e11) == pytest.approx(inside)


def test_the_drift_is_what_smaller_fits_show() -> None:
    """Runs that leave their law at the largest budgets give it away; runs that keep it do not."""
    rows = joint_rows(noise=0.001)
    bent = [dict(row) for row in rows]
    for row in bent:
        row["loss"] *= 1 + 0.02 * max(0.0, np.log(row["tokens"] / 1e10))
    straight, off = (
        fit_laws(RunsTable.from_rows(r), "joint", bootstrap=20)[0].drift["tokens"]
        for r in (rows, bent)
    )
    assert straight < 0.004 < 0.01 < off < 0.06
    assert fit_laws(RunsTable.from_rows(rows), "joint", bootstrap=0)[0].drift == {}


def test_the_advice_says_how_far_out_and_how_surely() -> None:
    found = recommend(reference.laws_at(7e9), Situation(7e9, 2e12))
    for part in ("7B parameters and 2T tokens", "3.5 times in parameters", "20 times in tokens",
                 "intervals are widened", "times fewer tokens", "["):  # fmt: skip
        assert part in found["advice"]
    best = found["best"]
    assert best["speedup_interval"][0] < best["speedup"] < best["speedup_interval"][1]
    inside = recommend(reference.laws_at(1e9), Situation(1e9, 5e10))
    assert "outside the runs" not in inside["advice"]


def share_table(shares: tuple[float, ...]) -> list[LawFit]:
    return list(fit_laws(RunsTable.from_rows(share_rows(shares=shares)), "ratio", bootstrap=40))


@pytest.mark.parametrize("shares", [(0.25, 0.5, 0.75), (0.25, 0.4, 0.5, 0.6, 0.75)])
def test_shares_and_baselines_that_were_not_run_are_not_spoken_of(
    shares: tuple[float, ...],
) -> None:
    found = recommend(share_table(shares), Situation(1e9, 5e10))
    best = found["best"]
    assert 0.25 <= best["synthetic_ratio"] <= 0.75
    assert all(0.25 <= end <= 0.75 for end in best["ratio_interval"])
    assert found["baseline"] is None and best["speedup"] is None and best["difference"] is None
    assert "the best share: " in found["advice"]
    assert "was not run" in found["advice"] and "fewer tokens" not in found["advice"]
    json.dumps(found, allow_nan=False)


def test_a_data_law_of_another_size_settles_nothing() -> None:
    rows = [
        *joint_rows(sizes=(1e9,), mixture="CC", synthetic_ratio=0.0),
        *joint_rows({**JOINT_TRUTH, "E": 1.7}, sizes=(1e9,), mixture="33HQ", synthetic_ratio=0.33),
    ]
    laws = list(fit_laws(RunsTable.from_rows(rows), "data", bootstrap=60))
    assert recommend(laws, Situation(1e9, 5e10))["level"] == "supported"
    other = recommend(laws, Situation(7e9, 5e10))
    assert other["level"] == "undecided" and other["extrapolation"]["params"] == pytest.approx(7)
    assert other["advice"].startswith("Not settled")


@pytest.mark.parametrize(
    ("value", "pair", "text"),
    [
        (2.34912, [2.3291, 2.3652], "2.35 [2.33, 2.37]"),
        (14.26, [9.1, 25.3], "14 [9, 25]"),
        (80.85, [31.0, 154.0], "80 [30, 150]"),
        (2.34912, None, "2.35"),
        (31243.85, [25000.0, 38000.0], "31,000 [25,000, 38,000]"),
        (1.0, [0.5, None], "1.00 [0.50, ∞]"),
        (0.0, [0.0, 0.0], "0 [0, 0]"),
        (15.2, [0.0, 1900.0], "20 [0, 1,900]"),
        (0.42, [0.0, 30.0], "0.4 [0.0, 30.0]"),
    ],
)
def test_numbers_have_the_digits_of_their_interval(
    value: float, pair: list[float | None] | None, text: str
) -> None:
    assert bounded(value, pair) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(29392.59, "29,000"), (3.38, "3.4"), (0.0123, "0.012"), (1851.26, "1,900"), (-271.2, "-270"),
     (0.0, "0"), (103441884.54, "100,000,000")],
)  # fmt: skip
def test_money_has_two_digits(value: float, text: str) -> None:
    assert money(value) == text
