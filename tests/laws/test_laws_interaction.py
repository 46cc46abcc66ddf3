"""Joint laws in which size and data do not simply add: derivatives, recovery, advice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from simulated_runs import joint_rows

from synthlaw.laws.answer.advice import recommend
from synthlaw.laws.answer.comparison import size_to_reach
from synthlaw.laws.answer.options import Situation
from synthlaw.laws.api import fit_laws
from synthlaw.laws.forms.catalogue import form_named
from synthlaw.laws.laws_file import read_laws, write_laws
from synthlaw.laws.table import RunsTable

TRUTH = {
    "interaction": [1.7, 0.3, 0.8, 0.2, 0.35, 0.4],
    "varying": [1.7, 0.4, 0.9, 0.35, 0.35, 0.12, 0.04],
    "coupled": [1.7, 0.7, 0.6, 0.5, 0.5, 0.6],
}
AT = {"params": 8e9, "tokens": 3e11}


def rows_of(name: str, noise: float = 0.0, **more: str) -> list[dict[str, float]]:
    """Runs of the law called `name` with the coefficients above."""
    rows = joint_rows(noise=0.0, **more)
    inputs = {key: np.array([row[key] for row in rows]) for key in ("params", "tokens")}
    losses = form_named(name).bind(inputs, {}).evaluate(np.array([TRUTH[name]]))[0][0]
    draws = np.random.default_rng(3).standard_normal(len(rows))
    return [
        {**row, "loss": loss}
        for row, loss in zip(rows, losses * np.exp(noise * draws), strict=True)
    ]


def truth_at(name: str) -> float:
    inputs = {key: np.array([value]) for key, value in AT.items()}
    return float(form_named(name).bind(inputs, {}).evaluate(np.array([TRUTH[name]]))[0][0, 0])


@pytest.mark.parametrize("name", TRUTH)
def test_derivatives_are_those_of_the_prediction(name: str) -> None:
    inputs = {"params": np.geomspace(1e8, 4e9, 9), "tokens": np.geomspace(2e11, 1e9, 9)}
    bound = form_named(name).bind(inputs, {})
    z = np.array([TRUTH[name], [0.9 * value for value in TRUTH[name]]])
    _, jacobian = bound.evaluate(z)
    weights = np.random.default_rng(0).standard_normal((2, 9))
    curvature = bound.curvature(z, jacobian, weights)
    step = 1e-6
    for p in range(z.shape[1]):
        move = step * np.eye(z.shape[1])[p]
        (up, steep), (down, flat) = bound.evaluate(z + move), bound.evaluate(z - move)
        assert jacobian[:, p] == pytest.approx((up - down) / (2 * step), rel=1e-6, abs=1e-7)
        bent = np.einsum("mi,mpi->mp", weights, (steep - flat) / (2 * step))
        assert curvature[:, p] == pytest.approx(bent, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", TRUTH)
def test_losses_of_a_form_are_found_again_and_foretold_where_the_sum_of_powers_errs(
    name: str,
) -> None:
    table = RunsTable.from_rows(rows_of(name))
    right = fit_laws(table, "joint", form=form_named(name), bootstrap=0)[0]
    plain = fit_laws(table, "joint", bootstrap=0)[0]
    assert right.predict(**AT)[0] == pytest.approx(truth_at(name), rel=2e-4)
    assert abs(plain.predict(**AT)[0] / truth_at(name) - 1) > 1e-3


@pytest.mark.parametrize("name", TRUTH)
def test_advice_reads_a_form_that_is_no_plain_power(name: str, tmp_path: Path) -> None:
    rows = rows_of(name, 0.002, mixture="CC") + [
        {**row, "mixture": "33HQ", "loss": 0.97 * row["loss"]} for row in rows_of(name, 0.002)
    ]
    laws = fit_laws(RunsTable.from_rows(rows), "joint", form=form_named(name), bootstrap=40)
    write_laws(tmp_path / "laws.json", laws)
    kept = read_laws(tmp_path / "laws.json")
    answer = recommend(kept, Situation(2e9, 5e10))
    best = answer["options"][0]
    assert best["mixture"] == "33HQ" and best["speedup"] > 1
    law = next(law for law in kept if law.mixture == "33HQ")
    base = next(law for law in kept if law.mixture == "CC")
    target = base.predict(params=2e9, tokens=5e10)
    (tokens,) = size_to_reach(law, law.vector[None], target, "tokens", {"params": 2e9})
    assert law.predict(params=2e9, tokens=tokens)[0] == pytest.approx(target[0], rel=1e-5)


def test_a_law_that_never_falls_so_low_reaches_no_loss() -> None:
    (law,) = fit_laws(
        RunsTable.from_rows(rows_of("interaction")), "joint", form=form_named("interaction"),
        bootstrap=0,
    )  # fmt: skip
    reached = size_to_reach(law, law.vector[None], np.array([1.0]), "tokens", {"params": 1e9})
    assert np.isinf(reached[0])


def test_an_answer_repeats_that_its_form_does_not_fit() -> None:
    rows = rows_of("coupled", 0.0005, mixture="CC")
    laws = fit_laws(RunsTable.from_rows(rows), "joint", bootstrap=40)
    codes = [warning["code"] for warning in recommend(laws, Situation(1e9, 5e10))["warnings"]]
    assert "form-misfit" in codes
