"""Intervals: reproducible, as wide as they should be, and honest about small studies."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_runs import JOINT_TRUTH, joint_loss, joint_rows, joint_table

from synthlaw.laws.api import fit_laws
from synthlaw.laws.fit.diagnostics import WEAK_FACTOR
from synthlaw.laws.fit.fitting import FitProblem, solve
from synthlaw.laws.fit.objectives import objective_named
from synthlaw.laws.fit.profiles import profile_interval
from synthlaw.laws.forms.power import JOINT
from synthlaw.laws.intervals import interval
from synthlaw.laws.table import RunsTable


def test_the_seed_decides_the_replicates_and_nothing_else_does() -> None:
    one, same, other = (
        fit_laws(joint_table(), "joint", bootstrap=50, seed=seed)[0] for seed in (1, 1, 2)
    )
    assert np.array_equal(one.replicates, same.replicates)
    assert not np.array_equal(one.replicates, other.replicates)
    assert one.coefficients == other.coefficients


def test_a_mixture_keeps_its_replicates_when_another_is_added() -> None:
    first = joint_rows(mixture="CC")
    alone = fit_laws(RunsTable.from_rows(first), "joint", bootstrap=30)[0]
    both = fit_laws(
        RunsTable.from_rows([*joint_rows(mixture="HQ", seed=9), *first]), "joint", bootstrap=30
    )
    beside = next(law for law in both if law.mixture == "CC")
    assert np.array_equal(alone.replicates, beside.replicates)


@pytest.mark.parametrize("method", ["runs", "noise"])
def test_intervals_agree_with_the_spread_over_fresh_studies(method: str) -> None:
    """The replicates' spread must be that of fits to new draws from the same law."""
    options = {
        "sizes": tuple(np.geomspace(1e8, 3e9, 8)),
        "budgets": tuple(np.geomspace(1e9, 1e11, 12)),
    }
    fresh = [
        fit_laws(joint_table(seed=seed, **options), "joint", bootstrap=0)[0].coefficients["beta"]
        for seed in range(40)
    ]
    spreads = [
        fit_laws(joint_table(seed=seed, **options), "joint", bootstrap=150, method=method)[0]
        for seed in range(4)
    ]
    index = list(spreads[0].coefficients).index("beta")
    found = np.mean([law.replicates[:, index].std() for law in spreads])
    assert 0.7 < found / np.std(fresh) < 1.5


def test_more_noise_and_fewer_runs_widen_intervals() -> None:
    def width(**options: object) -> float:
        low, high = fit_laws(joint_table(**options), "joint", bootstrap=200)[0].intervals["beta"]
        return high - low

    assert width(noise=0.01) > 2 * width(noise=0.002)
    assert width(budgets=(1e9, 1e10, 1e11)) > width()


def test_prediction_intervals_nest_and_grow_with_distance() -> None:
    law = fit_laws(joint_table(), "joint", bootstrap=300)[0]
    near, far = law.prediction(params=1e9, tokens=1e10), law.prediction(params=1e12, tokens=1e14)
    for found in (near, far):
        low, high = found["interval"]
        assert found["run_interval"][0] <= low <= found["loss"] <= high <= found["run_interval"][1]
    assert np.diff(far["interval"]) > 3 * np.diff(near["interval"])
    assert law.extrapolation(params=6e9, tokens=1e10) == {"params": pytest.approx(2), "tokens": 1.0}


def test_profile_intervals_agree_with_the_bootstrap() -> None:
    law = fit_laws(joint_table(noise=0.005), "joint", bootstrap=400, profile=True)[0]
    for name, (low, high) in law.details["profile_intervals"].items():
        assert low < law.coefficients[name] < high
        wide = (high - low) / np.diff(law.intervals[name])[0]
        assert 0.5 < wide < 2.0


def test_profile_reaches_the_bound_where_nothing_stops_it() -> None:
    rows = joint_rows(noise=0.02, budgets=(1e9, 2e9, 3e9), sizes=tuple(np.geomspace(1e8, 1e9, 4)))
    table = RunsTable.from_rows(rows)
    runs, _ = table.usable(JOINT.inputs)
    inputs = {name: runs.numbers[name] for name in JOINT.inputs}
    unit = {"params": 1e9, "tokens": 1e9}
    objective = objective_named("log-huber")
    problem = FitProblem(JOINT, inputs, runs.loss, np.ones(len(runs)), objective, unit, {})
    assert profile_interval(problem, solve(problem), "E", 0.9)[0] == 0.0
    law = fit_laws(table, "joint", bootstrap=100)[0]
    weak = [w.message for w in law.warnings if w.code == "weakly-identified"]
    assert any(message.startswith("the runs hardly determine E") for message in weak)
    low, high = law.intervals["E"]
    assert high > WEAK_FACTOR * low


def test_an_influential_run_is_named() -> None:
    rows = joint_rows(noise=0.002)
    rows.append({"params": 3e11, "tokens": 1e13, "loss": 2.4})
    squares = fit_laws(RunsTable.from_rows(rows), "joint", bootstrap=100, objective="mse")[0]
    found = [w.message for w in squares.warnings if w.code == "influential-points"]
    assert found and f"line {len(rows)}" in found[0]


def test_a_coefficient_on_its_bound_is_flagged() -> None:
    rows = [{"tokens": d, "loss": 5.0 * (d / 1e9) ** -0.1} for d in np.geomspace(1e9, 1e11, 12)]
    law = fit_laws(RunsTable.from_rows(rows), "data", bootstrap=50)[0]
    assert law.coefficients["E"] == pytest.approx(0.0, abs=1e-6)
    bent = [{**r, "loss": r["loss"] * (1 - 0.002 * np.log(r["tokens"] / 1e9))} for r in rows]
    below = fit_laws(RunsTable.from_rows(bent), "data", bootstrap=50)[0]
    assert "at-bound" in [w.code for w in below.warnings]


def test_expanded_percentiles_are_wider_than_plain_ones() -> None:
    values = np.random.default_rng(0).standard_normal((4000, 1))
    plain = interval(values, 0.9, "noise", 12, 5)
    wide = interval(values, 0.9, "runs", 12, 5)
    assert wide[0, 0] < plain[0, 0] < -1.5
    assert plain[0, 0] == pytest.approx(-1.645, abs=0.1)


@pytest.mark.slow
def test_intervals_cover_the_truth() -> None:
    """40 studies, nominal 90%: fewer than 31 hits has a probability below 1%."""
    hits = dict.fromkeys(("E", "alpha", "beta", "loss"), 0)
    for seed in range(40):
        law = fit_laws(joint_table(seed=seed), "joint", bootstrap=200, seed=seed)[0]
        for name in ("E", "alpha", "beta"):
            low, high = law.intervals[name]
            hits[name] += low <= JOINT_TRUTH[name] <= high
        low, high = law.prediction(params=3e9, tokens=4e11)["interval"]
        hits["loss"] += low <= joint_loss(JOINT_TRUTH, 3e9, 4e11) <= high
    assert min(hits.values()) >= 31
