"""Joint forms that compete by how well smaller fits foretell larger runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulated_runs import joint_rows
from test_laws_interaction import AT, rows_of, truth_at

from synthlaw.common.errors import UsageError
from synthlaw.laws.answer.advice import recommend
from synthlaw.laws.answer.options import Situation
from synthlaw.laws.answer.portable import Case, portable
from synthlaw.laws.api import fit_laws
from synthlaw.laws.forms.catalogue import form_named
from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.laws_file import read_laws, write_laws
from synthlaw.laws.table import RunsTable


def chosen(rows: list[dict[str, float]], bootstrap: int = 0) -> LawFit:
    table = RunsTable.from_rows(rows)
    (law,) = fit_laws(table, "joint", form="rolling", bootstrap=bootstrap)
    return law


def test_where_sizes_do_not_add_the_sum_of_powers_is_left_for_a_form_that_foretells_better() -> (
    None
):
    law = chosen(rows_of("coupled", 0.001))
    tried = {one["form"]: one["rolling_error"] for one in law.details["candidates"]}
    assert set(tried) == {"joint", "interaction", "coupled", "varying"}
    assert law.form.name != "joint"
    assert tried[law.form.name] < 0.8 * tried["joint"]
    plain = fit_laws(RunsTable.from_rows(rows_of("coupled", 0.001)), "joint", bootstrap=0)[0]
    errors = [abs(one.predict(**AT)[0] / truth_at("coupled") - 1) for one in (law, plain)]
    assert errors[0] < 0.5 * errors[1]


def test_where_they_add_the_simplest_form_stays() -> None:
    assert chosen(joint_rows(noise=0.003)).form.name == "joint"


def test_intervals_span_forms_that_foretell_alike(tmp_path: Path) -> None:
    rows = [{**row, "mixture": "CC"} for row in joint_rows(noise=0.01, seed=4)]
    laws = fit_laws(RunsTable.from_rows(rows), "joint", form="rolling", bootstrap=200)
    (law,) = laws
    assert law.rivals and "rival-forms" in [warning.code for warning in law.warnings]
    alone = fit_laws(
        RunsTable.from_rows(rows), "joint", form=form_named(law.form.name), bootstrap=200
    )[0]
    far = {"params": 2e10, "tokens": 2e12}
    low, high = law.prediction(**far)["interval"]
    bare = alone.prediction(**far)["interval"]
    assert high - low > bare[1] - bare[0]
    assert all(low <= rival.predict(**far)[0] <= high for rival in law.rivals)
    write_laws(tmp_path / "laws.json", laws)
    kept = read_laws(tmp_path / "laws.json")
    assert kept[0].error_beyond(far) == pytest.approx(law.error_beyond(far), rel=1e-6)
    answer = recommend(kept, Situation(2e10, 2e12))
    assert "rival-forms" in [warning["code"] for warning in answer["warnings"]]
    with pytest.raises(UsageError, match="rivals"):
        portable([Case(kept)])


def test_only_joint_laws_have_forms_that_compete() -> None:
    with pytest.raises(UsageError, match="expected a joint law"):
        fit_laws(RunsTable.from_rows(joint_rows()), "data", form="rolling")
    with pytest.raises(UsageError, match="found 'gama'"):
        fit_laws(RunsTable.from_rows(joint_rows()), "joint", form="rolling", fixed={"gama": 1.0})


def test_too_few_runs_to_foretell_any_keep_the_sum_of_powers() -> None:
    few = joint_rows(sizes=(1e8, 1e9, 3e9), budgets=(1e9, 1e10, 1e11))
    law = chosen(few)
    assert law.form.name == "joint" and not law.rivals
