"""How far a law is trusted beyond its runs, and whether its form follows them at all."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_runs import joint_rows

from synthlaw.laws.answer.advice import recommend
from synthlaw.laws.answer.options import Situation
from synthlaw.laws.api import fit_laws
from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.table import RunsTable

LARGEST = 1e19
"""Params x tokens of the largest run: models of all sizes and budgets of all lengths, none both."""


def law_of(rows: list[dict[str, float]], bootstrap: int = 200) -> LawFit:
    (law,) = fit_laws(RunsTable.from_rows(rows), "joint", bootstrap=bootstrap)
    return law


def bent(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    """Losses that leave their law at large compute, as a learning rate that does not suit would."""
    for row in rows:
        row["loss"] *= 1 + 0.02 * max(0.0, np.log(row["params"] * row["tokens"] / 1e18))
    return rows


def corner() -> list[dict[str, float]]:
    """Runs within a budget of compute."""
    return [row for row in joint_rows(noise=0.001) if row["params"] * row["tokens"] <= LARGEST]


def test_a_question_within_both_sizes_may_be_far_beyond_every_run() -> None:
    straight, off = law_of(corner()), law_of(bent(corner()))
    at = {"params": 3e9, "tokens": 1e11}
    assert off.extrapolation(**at) == {"params": 1.0, "tokens": 1.0}
    assert off.compute_beyond(at) == pytest.approx(30, rel=0.05)
    assert off.error_beyond(at) > 0.03 > 0.02 > straight.error_beyond(at)
    told = off.prediction(**at)
    assert told["interval"][1] / told["interval"][0] > 1.08
    assert off.error_beyond({"params": 1e8, "tokens": 1e10}) == 0


def test_losses_that_bend_otherwise_than_the_form_are_told() -> None:
    rows = joint_rows(noise=0.002)
    for row in rows:  # no sum of two powers: each size counts for more where the other is large
        row["loss"] *= 1 + 0.01 * np.log(row["params"] / 5e8) * np.log(row["tokens"] / 1e10)
    assert law_of(rows, 0).warnings[0].code == "form-misfit"


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_misfit(seed: int) -> None:
    codes = [w.code for w in law_of(joint_rows(noise=0.003, seed=seed), 0).warnings]
    assert "form-misfit" not in codes


def test_one_run_that_is_far_off_is_no_misfit_of_the_form() -> None:
    rows = joint_rows(noise=0.002)
    rows[17]["loss"] *= 1.3
    assert "form-misfit" not in [w.code for w in law_of(rows, 0).warnings]


def test_losses_without_noise_have_neither_drift_nor_misfit() -> None:
    law = law_of(joint_rows(noise=0.0))
    assert max(law.drift.values()) < 1e-6
    assert "form-misfit" not in [w.code for w in law.warnings]


def test_an_answer_known_no_better_than_to_two_percent_says_so() -> None:
    few = [row for row in joint_rows(noise=0.01) if row["params"] < 1e9 and row["tokens"] < 2e10]
    laws = fit_laws(RunsTable.from_rows([{**row, "mixture": "CC"} for row in few]), "joint")
    codes = [w["code"] for w in recommend(laws, Situation(7e9, 2e12))["warnings"]]
    assert codes[:2] == ["extrapolation", "extrapolation"] and "wide-interval" in codes
    many = fit_laws(RunsTable.from_rows([{**r, "mixture": "CC"} for r in joint_rows()]), "joint")
    near = recommend(many, Situation(1e9, 5e10))["warnings"]
    assert not {"extrapolation", "wide-interval"} & {w["code"] for w in near}
