"""`fit --format`: tables of laws for a paper and for a sheet."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from report_study import write_study

from synthlaw.cli.laws import fit
from synthlaw.report.laws_tables import csv_table, latex, markdown, rounded


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("formats") / "study") / "runs.csv"


def printed(runs: Path, *options: str) -> str:
    done = CliRunner().invoke(fit, [str(runs), "--by", "mixture", *options])
    assert done.exit_code == 0, done.output
    return done.stdout


def result_named(name: str, **more: Any) -> dict[str, Any]:
    law = {
        "mixture": name,
        "law": "data",
        "form": "data",
        "coefficients": {"E": 2.34567, "B": 0.98771, "beta": 0.41234},
        "intervals": {"E": [2.31, 2.39], "B": [0.9, None]},
        "unit": {"params": 1e9, "tokens": 1e9},
        "at": {"params": 1.0},
        "ranges": {"tokens": [1e9, 1e11], "params": [1e9, 1e9]},
        "level": 0.9,
        "points": 7,
        "holdout": {"points": 2, "rmabe": 0.0123},
        "warnings": [{"code": "few-levels", "message": ""}],
    }
    return {"laws": [law | more]}


def test_markdown_says_law_units_level_and_place() -> None:
    text = markdown(result_named("CC"))
    assert "`L(D) = E + B / D^β` (L in nats per token; D in tokens / 1e9; brackets: 90%" in text
    assert (
        "| CC | 2.346 [2.310, 2.390] | 0.9877 [0.9000, ∞] | 0.4123 | N = 1B | 7 | 1.23% |" in text
    )
    assert "- CC: `L(D) = 2.346 + 0.9877 / D^0.4123`" in text
    assert "few-levels" in text


def test_latex_has_a_row_of_as_many_cells_as_columns() -> None:
    text = latex(result_named("33% HQ_8b & more"))
    assert r"$L(D) = E + \frac{B}{D^{\beta}}$" in text
    row = next(line for line in text.splitlines() if line.startswith("33"))
    columns = re.search(r"begin{tabular}{(l.*)}", text)
    assert columns is not None
    assert row.startswith(r"33\% HQ\_8b \& more & ")
    assert len(re.findall(r"(?<!\\)&", row)) == len(columns[1]) - 1


@given(st.text(st.characters(blacklist_categories=["Cs"]), min_size=1))
def test_any_name_stays_in_its_cell(name: str) -> None:
    found = result_named(name)
    rows = list(csv.DictReader(io.StringIO(csv_table(found), newline="")))
    assert [row["mixture"] for row in rows] == [" ".join(name.split())] * 3
    line = markdown(found).splitlines()[4]
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 8
    written = latex(found).split("midrule\n")[1].splitlines()[0]
    assert len(re.findall(r"(?<!\\)&", written)) == 6


def test_a_value_has_the_digits_of_its_interval() -> None:
    assert rounded(2.34567, [2.3, 2.4]) == "2.346"
    assert rounded(2.34567, [2.0, 2.6]) == "2.35"
    assert rounded(2.34567, [1.0, 9.0]) == "2.3"
    assert rounded(12345.6, [12000, 13000]) == "12350"


@pytest.mark.parametrize("law", ["data", "joint"])
def test_every_format_has_every_law(law: str, runs: Path) -> None:
    options = ("--law", law, "--bootstrap", "10", "--format")
    assert printed(runs, *options, "markdown").count("| 33HQ |") >= 1
    assert r"\toprule" in printed(runs, *options, "latex")
    rows = list(csv.DictReader(io.StringIO(printed(runs, *options, "csv"))))
    assert {"E", "B", "beta"} <= {row["coefficient"] for row in rows if row["mixture"] == "CC"}
    assert all(float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in rows)


@pytest.mark.parametrize("form", ["tied", "E + B * tokens**-b + A * params**-a"])
def test_other_forms_are_written_too(form: str, runs: Path) -> None:
    text = printed(
        runs, "--law", "joint", "--form", form, "--bootstrap", "0", "--format", "markdown"
    )
    assert "| CC |" in text
    share = CliRunner().invoke(
        fit, [str(runs), "--law", "ratio", "--bootstrap", "0", "--format", "latex"]
    )
    assert r"\frac{B(r)}{D^{\beta}}" in share.stdout or "E(r)" in share.stdout
