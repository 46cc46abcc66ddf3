"""Laws of the synthetic share: held-out error picks the form, the minimum has an interval."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_runs import joint_table, share_loss, share_rows

from synthlaw.common.errors import UsageError
from synthlaw.laws.api import fit_laws
from synthlaw.laws.forms.ratio_forms import candidates
from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.shares import best_ratio, curve, minima, movement
from synthlaw.laws.table import RunsTable


@pytest.fixture(scope="module")
def law() -> LawFit:
    return fit_laws(RunsTable.from_rows(share_rows()), "ratio", bootstrap=150)[0]


def true_best(params: float, tokens: float) -> float:
    fine = np.linspace(0, 1, 20001)
    return float(fine[np.argmin([share_loss(r, params / 1e9, tokens / 1e9) for r in fine])])


@pytest.mark.parametrize("tokens", [1e9, 5e10])
def test_the_best_share_is_found_with_an_interval(law: LawFit, tokens: float) -> None:
    found = best_ratio(law, params=1e9, tokens=tokens)
    truth = true_best(1e9, tokens)
    assert found["interval"][0] <= truth <= found["interval"][1]
    assert found["ratio"] == pytest.approx(truth, abs=0.05)
    assert found["as_good"][0] <= found["ratio"] <= found["as_good"][1]
    assert found["gain"] > 0 and not found["at_edge"]


def test_the_best_share_moves_with_the_tokens(law: LawFit) -> None:
    found = movement(law, "tokens", params=1e9)
    assert found["change"] > 0
    assert found["interval"][0] > 0
    with pytest.raises(UsageError, match="does not read unique_tokens"):
        movement(law, "unique_tokens", params=1e9)


def test_held_out_error_chooses_among_forms(law: LawFit) -> None:
    table = {row["form"]: row for row in law.details["candidates"]}
    assert len(table) > 5
    chosen = table[law.form.name]["held_out_error"]
    best = min(row["held_out_error"] for row in table.values())
    assert chosen <= 1.5 * best
    # The form with the smallest in-sample error is not chosen for that.
    biggest = max(table.values(), key=lambda row: row["coefficients"])
    assert table[law.form.name]["coefficients"] <= biggest["coefficients"]


def test_an_additive_law_is_recognised() -> None:
    shares = np.linspace(0, 1, 12)
    rows = [
        {"synthetic_ratio": r, "loss": 1.5 + 0.55 / ((1 - r) ** 0.6 + 0.45 * r**0.5)}
        for r in shares
    ]
    fit = fit_laws(RunsTable.from_rows(rows), "ratio", bootstrap=0)[0]
    assert fit.form.name == "additive-r"
    assert fit.coefficients["g1"] == pytest.approx(0.5, rel=0.02)


def test_curves_have_bands(law: LawFit) -> None:
    found = curve(law, params=1e9, tokens=1e10)
    assert (found["low"] <= found["loss"] + 1e-9).all() and (
        found["loss"] <= found["high"] + 1e-9
    ).all()


def test_two_shares_allow_no_minimum_between_them() -> None:
    rows = share_rows(shares=(0.0, 0.33))
    fit = fit_laws(RunsTable.from_rows(rows), "ratio", bootstrap=50)[0]
    found = best_ratio(fit, params=1e9, tokens=5e10)
    assert found["ratio"] == pytest.approx(0.33)
    assert found["at_edge"]
    assert "few-shares" in [w.code for w in fit.warnings]
    assert {form.name for form in candidates("nd", 2)} == {
        "smooth-e1-s0-plain-nd", "smooth-e1-s1-plain-nd"
    }  # fmt: skip


def test_natural_runs_serve_every_type_and_a_type_without_runs_gets_no_law() -> None:
    rows = [
        *share_rows(kind="HQ"),
        *[r for r in share_rows(kind="QA", seed=4) if r["synthetic_ratio"]],
    ]
    laws = fit_laws(RunsTable.from_rows(rows), "ratio", bootstrap=0)
    assert [fit.mixture for fit in laws] == ["HQ", "QA"]
    assert [fit.points for fit in laws] == [60, 60]


def test_a_table_without_shares_is_refused() -> None:
    with pytest.raises(UsageError, match="synthetic_ratio"):
        fit_laws(joint_table(), "ratio", bootstrap=0)
    plain = fit_laws(joint_table(), "joint", bootstrap=0)[0]
    with pytest.raises(UsageError, match="no synthetic share"):
        best_ratio(plain, params=1e9, tokens=1e9)


def test_minima_refine_the_grid() -> None:
    grid = np.linspace(0, 1, 21)
    table = np.stack([(grid - 0.333) ** 2, -grid, grid])
    assert minima(grid, table) == pytest.approx([0.333, 1.0, 0.0])


def test_rivals_survive_json(law: LawFit) -> None:
    again = LawFit.from_json(law.to_json(replicates=150), "place")
    sizes = {"params": 1e9, "tokens": 5e10}
    there = best_ratio(again, **sizes)
    assert there["interval"] == pytest.approx(best_ratio(law, **sizes)["interval"], abs=1e-4)
