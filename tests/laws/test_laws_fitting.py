"""The fit itself: global optimum, exact recovery, invariances, and the edges of identifiability."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from simulated_runs import JOINT_TRUTH, joint_loss, joint_rows, joint_table

from synthlaw.common.errors import UsageError
from synthlaw.laws.api import fit_laws
from synthlaw.laws.fit.fitting import FitProblem, solve, solve_parts
from synthlaw.laws.fit.objectives import objective_named
from synthlaw.laws.forms.power import DATA, JOINT, MODEL, Form
from synthlaw.laws.table import RunsTable

UNIT = {"params": 1e9, "tokens": 1e9}


def problem(table: RunsTable, form: Form, objective: str = "log-huber") -> FitProblem:
    runs, _ = table.usable(form.inputs)
    inputs = {name: runs.numbers[name] for name in form.inputs}
    weights = np.ones(len(runs))
    return FitProblem(form, inputs, runs.loss, weights, objective_named(objective), UNIT, {})


def best_random_start(fit: FitProblem, starts: int, seed: int) -> float:
    """The lowest objective of scipy's L-BFGS-B from random starts, with our exact gradient."""
    generator = np.random.default_rng(seed)
    solver = fit.problem()
    K = len(fit.form.linear)

    def value(z: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(all="ignore"):
            predicted, jacobian = fit.bound.evaluate(z[None])
            residuals = fit.objective.residuals(predicted, fit.observed)
            total = float(fit.objective.value(residuals, fit.weights)[0])
            pull = fit.objective.slopes(residuals)[0][0] * fit.weights
            pull = pull / predicted[0] if fit.objective.log else pull
        return (total, jacobian[0] @ pull) if np.isfinite(total) else (1e30, np.zeros_like(z))

    found = []
    for _ in range(starts):
        start = np.concatenate(
            [
                fit.observed.mean() * 10 ** generator.uniform(-3, 1, K),
                generator.uniform(0.01, 2.0, len(fit.form.shape)),
            ]
        )
        bounds = list(zip(solver.lower, solver.upper, strict=True))
        options = {"maxiter": 1000, "ftol": 1e-14, "gtol": 1e-12}
        done = minimize(value, start, jac=True, bounds=bounds, method="L-BFGS-B", options=options)
        found.append(float(done.fun))
    return min(found)


@pytest.mark.parametrize("objective", ["log-huber", "huber", "mse"])
@pytest.mark.parametrize("form", [DATA, MODEL, JOINT], ids=lambda form: form.name)
def test_no_random_start_goes_deeper(form: Form, objective: str) -> None:
    fit = problem(joint_table(noise=0.01, seed=3), form, objective)
    assert solve(fit).value <= best_random_start(fit, 12, 0) * (1 + 1e-9)


@pytest.mark.parametrize("form", [DATA, JOINT], ids=lambda form: form.name)
def test_parts_are_fitted_as_each_would_be_alone(form: Form) -> None:
    table = joint_table(noise=0.005, seed=4)
    whole = problem(table, form)
    tokens = whole.inputs["tokens"]
    kept = [tokens <= cut for cut in np.unique(tokens)[2:]]
    found = solve_parts(whole, np.array(kept, dtype=float))
    for part, solution in zip(kept, found, strict=True):
        inputs = {name: values[part] for name, values in whole.inputs.items()}
        alone = FitProblem(
            form, inputs, whole.observed[part], whole.weights[part], whole.objective, UNIT, {}
        )
        assert solution.value == pytest.approx(solve(alone).value, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_no_random_start_of_many_goes_deeper(seed: int) -> None:
    fit = problem(joint_table(noise=0.02, seed=seed, budgets=(1e9, 4e9, 3e10)), JOINT)
    assert solve(fit).value <= best_random_start(fit, 40, seed) * (1 + 1e-9)


@settings(max_examples=25, deadline=None)
@given(
    E=st.floats(0.5, 3),
    A=st.floats(0.05, 1),
    B=st.floats(0.05, 2),
    alpha=st.floats(0.15, 0.8),
    beta=st.floats(0.15, 0.8),
)
def test_exact_losses_give_back_their_law(**law: float) -> None:
    fit = fit_laws(joint_table(law=law, noise=0.0), "joint", bootstrap=0)[0]
    for name, value in law.items():
        assert fit.coefficients[name] == pytest.approx(value, rel=2e-3)
    assert fit.value < 1e-10


@settings(max_examples=10, deadline=None)
@given(st.floats(1e3, 1e12), st.floats(0.1, 50))
def test_the_unit_and_the_scale_of_sizes_change_no_prediction(unit: float, factor: float) -> None:
    rows = joint_rows(noise=0.005)
    scaled = [{**r, "params": r["params"] * factor, "tokens": r["tokens"] / factor} for r in rows]
    plain = fit_laws(RunsTable.from_rows(rows), "joint", bootstrap=0)[0]
    moved = fit_laws(RunsTable.from_rows(scaled), "joint", bootstrap=0, unit=unit)[0]
    assert moved.value == pytest.approx(plain.value, rel=1e-9)
    for name in ("E", "alpha", "beta"):
        assert moved.coefficients[name] == pytest.approx(plain.coefficients[name], rel=1e-4)
    there = plain.predict(params=5e9, tokens=5e11)
    assert moved.predict(params=5e9 * factor, tokens=5e11 / factor) == pytest.approx(
        there, rel=1e-6
    )


def test_the_order_of_rows_does_not_matter() -> None:
    rows = joint_rows(noise=0.005)
    one = fit_laws(RunsTable.from_rows(rows), "joint", bootstrap=0)[0]
    other = fit_laws(RunsTable.from_rows(rows[::-1]), "joint", bootstrap=0)[0]
    assert one.vector == pytest.approx(other.vector, rel=1e-6)


def test_least_absolute_limit_is_least_absolute() -> None:
    table = joint_table(noise=0.01, seed=5)
    lad = fit_laws(table, "joint", objective="lad", bootstrap=0)[0]
    runs, _ = table.usable(JOINT.inputs)

    def absolute(law: dict[str, float]) -> float:
        predicted = [joint_loss(law, n, d) for n, d in zip(*runs.inputs().values(), strict=True)]
        return float(np.abs(np.log(np.array(predicted) / runs.loss)).sum())

    assert lad.value == pytest.approx(absolute(lad.coefficients), rel=1e-9)
    for delta in (1e-2, 1e-3, 1e-4):
        near = fit_laws(table, "joint", delta=delta, bootstrap=0)[0]
        assert lad.value <= absolute(near.coefficients) * (1 + 1e-9)


def test_robust_objective_ignores_an_outlier_and_squares_do_not() -> None:
    rows = joint_rows(noise=0.001)
    rows[10]["loss"] *= 1.2
    table = RunsTable.from_rows(rows)
    truth = joint_loss(JOINT_TRUTH, 1e10, 1e12)
    robust = fit_laws(table, "joint", bootstrap=0)[0].predict(params=1e10, tokens=1e12)[0]
    squares = fit_laws(table, "joint", bootstrap=0, objective="mse")[0]
    assert abs(robust / truth - 1) < 0.005
    assert abs(squares.predict(params=1e10, tokens=1e12)[0] / truth - 1) > 0.005


def test_fixed_coefficients_stay_and_the_rest_is_fitted_around_them() -> None:
    table = joint_table(noise=0.0)
    fixed = {"E": 1.8, "B": 0.9}
    law = fit_laws(table, "joint", fixed=fixed, bootstrap=50)[0]
    assert {name: law.coefficients[name] for name in fixed} == fixed
    assert law.coefficients["A"] == pytest.approx(0.45, rel=1e-3)
    assert set(law.intervals) == {"A", "alpha", "beta"}


def test_data_laws_are_fitted_for_each_model_size_and_say_which() -> None:
    rows = joint_rows(sizes=(1e8, 1e9), budgets=tuple(np.geomspace(1e9, 1e11, 6)))
    laws = fit_laws(RunsTable.from_rows(rows), "data", bootstrap=20)
    assert [law.at for law in laws] == [{"params": 0.1}, {"params": 1.0}]
    assert all(w.code != "at-bound" for law in laws for w in law.warnings)
    one = fit_laws(RunsTable.from_rows(rows), "data", at={"params": 1e9}, bootstrap=0)
    assert len(one) == 1
    truth = 1.8 + 0.45
    assert one[0].coefficients["E"] == pytest.approx(truth, abs=0.1)
    assert "floor-contains-other-term" in [w.code for w in one[0].warnings]


def test_groups_that_cannot_carry_a_law_are_skipped_with_a_reason() -> None:
    rows = [*joint_rows(mixture="CC"), *joint_rows(mixture="HQ", sizes=(1e9,), budgets=(1e9, 2e9))]
    laws = fit_laws(RunsTable.from_rows(rows), "joint", bootstrap=0)
    assert [law.mixture for law in laws] == ["CC"]
    assert laws.skipped[0]["mixture"] == "HQ"
    assert "expected at least 5" in laws.skipped[0]["reason"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (joint_rows(sizes=(1e9,), budgets=(1e9, 2e9)), "found 2 points"),
        (joint_rows(sizes=(1e9,), budgets=(1e9,) * 8), "at 1 distinct settings"),
        (joint_rows(sizes=(1e8,)), "one value of params"),
    ],
)
def test_runs_that_determine_nothing_are_refused(rows: list, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        fit_laws(RunsTable.from_rows(rows), "joint", bootstrap=0)


def test_a_tiny_study_is_fitted_with_wide_intervals_and_warnings() -> None:
    law = {"E": 3.0, "A": 0.1, "B": 0.02, "alpha": 0.25, "beta": 0.4}
    rows = joint_rows(law, sizes=(1e5, 3e5, 1e6), budgets=(1e4, 3e4, 7e4, 2e5), noise=0.01)
    assert 4 < min(r["loss"] for r in rows) < max(r["loss"] for r in rows) < 9
    fit = fit_laws(RunsTable.from_rows(rows), "joint", bootstrap=200)[0]
    assert {"few-levels", "weakly-identified"} <= {w.code for w in fit.warnings}
    low, high = fit.intervals["E"]
    assert high - low > 0.5
    assert low <= law["E"] <= high
    exact = fit_laws(RunsTable.from_rows(rows), "model", bootstrap=200)
    assert len(exact) == 4
    assert all("no-degrees-of-freedom" in [w.code for w in fit.warnings] for fit in exact)


def test_repeated_seeds_weight_noisy_settings_down() -> None:
    generator = np.random.default_rng(0)
    rows = []
    for seed in range(6):
        for row in joint_rows(noise=0.0, sizes=(1e8, 5e8, 3e9)):
            sigma = 0.05 if row["params"] == 1e8 and row["tokens"] == 1e9 else 0.001
            loss = row["loss"] * np.exp(sigma * generator.standard_normal())
            rows.append({**row, "loss": loss, "seed": seed})
    table = RunsTable.from_rows(rows)
    weighted = problem(table, JOINT)
    from synthlaw.laws.fit.seednoise import seed_weights

    runs, _ = table.usable(JOINT.inputs)
    weights = seed_weights(runs)
    noisy = (runs.numbers["params"] == 1e8) & (runs.numbers["tokens"] == 1e9)
    assert weights[noisy].max() < 0.2 * weights[~noisy].min()
    assert weights.mean() == pytest.approx(1.0)
    assert len(weighted.observed) == len(rows)
    plain = problem(joint_table(), JOINT)
    assert (seed_weights(joint_table().usable(JOINT.inputs)[0]) == 1).all()
    assert (plain.weights == 1).all()


@pytest.mark.parametrize(
    "options",
    [{"law": "cubic"}, {"law": "data", "bootstrap": -1}, {"law": "data", "level": 1.5},
     {"law": "data", "by": "nothing"}, {"law": "data", "at": {"params": 5.0}},
     {"law": "data", "holdout": "depth>3"}, {"law": "data", "objective": "l3"}],
)  # fmt: skip
def test_wrong_options_are_refused(options: dict) -> None:
    with pytest.raises(UsageError):
        fit_laws(joint_table(), options.pop("law"), **{"bootstrap": 0, **options})
