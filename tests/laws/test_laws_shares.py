"""The share as a variable of the answer: laws of the share beside laws of mixtures."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from simulated_runs import share_loss, share_rows

from synthlaw.laws.answer.advice import recommend
from synthlaw.laws.answer.options import Situation
from synthlaw.laws.api import fit_laws
from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.table import RunsTable

SIZES = (1e8, 3e8, 1e9)
SHARES = (0.0, 0.1, 0.2, 0.33, 0.5, 1.0)
ASKED = Situation(1e9, 5e10)


def rows_of(kind: str, **options: Any) -> list[dict[str, Any]]:
    return share_rows(kind=kind, shares=SHARES, sizes=SIZES, **options)


@cache
def answered() -> dict[str, Any]:
    """Two types: HQ at every size and budget, QA at one."""
    rows = rows_of("HQ")
    rows += [
        {**row, "synthetic_type": "QA", "mixture": f"QA{row['mixture']}"}
        for row in rows_of("QA", seed=5)
        if row["synthetic_ratio"] and (row["params"], row["tokens"]) == (3e8, 5e9)
    ]
    laws = [*joint_laws(rows), *fit_laws(RunsTable.from_rows(rows), "ratio", bootstrap=200)]
    return recommend(laws, ASKED)


def joint_laws(rows: list[dict[str, Any]]) -> list[LawFit]:
    table = RunsTable.from_rows(rows)
    return list(fit_laws(table, "joint", where="synthetic_type!='QA'", bootstrap=200))


def test_mixtures_are_ranked_and_shares_stand_beside_them() -> None:
    result = answered()
    assert {row["law"] for row in result["options"]} == {"joint"}
    (hq, qa) = result["shares"]
    assert (hq["synthetic_type"], qa["synthetic_type"]) == ("HQ", "QA")
    fine = np.linspace(0, 1, 20001)
    truth = float(fine[np.argmin([share_loss(r, 1.0, 50.0) for r in fine])])
    assert hq["interval"][0] <= truth <= hq["interval"][1]
    assert hq["as_good"][0] <= hq["best_ratio"] <= hq["as_good"][1]
    assert hq["difference_interval"][1] < 0 and not hq["at_edge"]
    assert hq["probability_best"] > 0.9 and hq["tried"] == [0.0, 1.0]
    assert [moved["variable"] for moved in hq["movement"]] == ["params", "tokens"]
    assert len(hq["curve"]["ratio"]) == len(hq["curve"]["loss"]) == 41


def test_the_sentence_names_the_best_share_and_where_another_was_taken() -> None:
    said = answered()["advice"]
    assert "The best shares, lowest loss first: " in said
    assert " of HQ [" in said
    assert "(at 300M parameters and 5B tokens)" in said


def test_a_type_that_was_run_at_one_size_says_nothing_of_others() -> None:
    """Natural runs of other sizes say how loss falls with them, not how the share changes that."""
    qa = answered()["shares"][1]
    assert qa["at"] == {"params": pytest.approx(3e8), "tokens": pytest.approx(5e9)}
    assert qa["movement"] == [] and qa["probability_best"] is None
    # At its own place: five shares and natural text.
    assert qa["loss"] == pytest.approx(share_loss(qa["best_ratio"], 0.3, 5.0), rel=0.01)


def test_a_type_that_was_run_at_one_budget_reads_the_sizes_alone() -> None:
    rows = [row for row in rows_of("HQ") if row["tokens"] == 5e9 or not row["synthetic_ratio"]]
    (law,) = fit_laws(RunsTable.from_rows(rows), "ratio", bootstrap=0)
    assert law.reads("params") and not law.reads("tokens")
    assert law.at["tokens"] * law.unit["tokens"] == pytest.approx(5e9)
    assert law.points == len(SIZES) * len(SHARES)


def test_ratio_laws_alone_answer_as_before() -> None:
    laws = fit_laws(RunsTable.from_rows(rows_of("HQ")), "ratio", bootstrap=100)
    result = recommend(laws, ASKED)
    assert [row["law"] for row in result["options"]] == ["ratio"]
    assert result["shares"][0]["best_ratio"] == result["best"]["synthetic_ratio"]
    assert "The best shares" not in result["advice"]


def test_laws_of_mixtures_alone_have_no_shares() -> None:
    assert recommend(joint_laws(rows_of("HQ")), ASKED)["shares"] == []
