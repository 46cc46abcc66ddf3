"""Held-out errors and rolling extrapolation."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_runs import JOINT_TRUTH, joint_loss, joint_rows, joint_table

from synthlaw.laws.api import fit_laws
from synthlaw.laws.table import RunsTable


def test_rmabe_is_the_mean_absolute_relative_error_of_the_rows() -> None:
    law = fit_laws(joint_table(), "joint", holdout="tokens>30e9", bootstrap=0)[0]
    rows = law.holdout["rows"]
    assert law.holdout["points"] == len(rows) == 12
    assert law.points == 30
    errors = [abs(row["predicted"] - row["observed"]) / row["observed"] for row in rows]
    assert law.holdout["rmabe"] == pytest.approx(np.mean(errors))
    assert law.holdout["rmabe"] < 0.01
    assert (
        rows[0]["predicted"] == law.predict(params=rows[0]["params"], tokens=rows[0]["tokens"])[0]
    )


def test_held_out_runs_do_not_move_the_fit() -> None:
    rows = joint_rows()
    bad = [{**r, "loss": 99.0} if r["tokens"] > 30e9 else r for r in rows]
    one, other = (
        fit_laws(RunsTable.from_rows(part), "joint", holdout="tokens>30e9", bootstrap=0)[0]
        for part in (rows, bad)
    )
    assert one.coefficients == other.coefficients


def test_an_expression_that_selects_nothing_is_flagged() -> None:
    law = fit_laws(joint_table(), "joint", holdout="tokens>1e15", bootstrap=0)[0]
    assert law.holdout == {"points": 0, "rmabe": None, "rows": []}
    assert "empty-holdout" in [w.code for w in law.warnings]


def test_rolling_extrapolation_reports_error_by_distance() -> None:
    law = fit_laws(joint_table(), "joint", rolling=True, bootstrap=0)[0]
    entries = [row for row in law.details["rolling"] if row["variable"] == "tokens"]
    assert [row["fitted_to"] for row in entries] == sorted(row["fitted_to"] for row in entries)
    first = entries[0]
    assert first["farthest_factor"] == pytest.approx(1e11 / first["fitted_to"])
    bins = law.details["error_by_distance"]
    assert [row["factor_from"] for row in bins] == sorted(row["factor_from"] for row in bins)
    points = sum(row["points"] for row in law.details["rolling"])
    assert sum(row["points"] for row in bins) == points
    # The noise is 0.3%: a fit to most of the runs predicts the rest about as well.
    assert entries[-1]["rmabe"] < 0.01


def test_rolling_shows_a_law_that_breaks() -> None:
    rows = [
        {"params": n, "tokens": d,
         "loss": max(joint_loss(JOINT_TRUTH, n, d), 2.6)}
        for n in np.geomspace(1e8, 3e9, 6) for d in np.geomspace(1e9, 1e12, 9)
    ]  # fmt: skip
    law = fit_laws(RunsTable.from_rows(rows), "joint", rolling=True, bootstrap=0)[0]
    assert max(row["worst"] for row in law.details["error_by_distance"]) > 0.03
