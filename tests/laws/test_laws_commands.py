"""`synthlaw fit` and `synthlaw recommend` as a user calls them."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from simulated_runs import JOINT_TRUTH, joint_rows, share_rows

from synthlaw.cli.laws import fit, recommend
from synthlaw.common.errors import UsageError


def table(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def call(command: Any, *words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    better = {**JOINT_TRUTH, "E": 1.7}
    rows = [
        *joint_rows(mixture="CC", synthetic_ratio=0.0),
        *joint_rows(better, mixture="33HQ", synthetic_ratio=0.33, seed=1),
    ]
    return table(tmp_path / "runs.csv", rows)


def test_json_keeps_the_contract(runs: Path) -> None:
    done = call(fit, runs, "--law", "joint", "--holdout", "tokens>50B", "--bootstrap", 50, "--json")
    assert done.exit_code == 0
    laws = json.loads(done.stdout)["laws"]
    assert [law["mixture"] for law in laws] == ["CC", "33HQ"]
    for law in laws:
        assert set(law["coefficients"]) == {"E", "A", "B", "alpha", "beta"}
        assert law["unit"] == {"params": 1e9, "tokens": 1e9}
        assert set(law["intervals"]) == set(law["coefficients"])
        assert {"law", "points", "objective", "value", "warnings"} <= set(law)
        assert set(law["holdout"]) == {"points", "rmabe", "rows"}


@pytest.mark.parametrize(
    ("law", "names"), [("data", ["E", "B", "beta"]), ("model", ["E", "A", "alpha"])]
)
def test_only_the_coefficients_that_the_law_has(runs: Path, law: str, names: list[str]) -> None:
    done = call(fit, runs, "--law", law, "--bootstrap", 0, "--json")
    for found in json.loads(done.stdout)["laws"]:
        assert list(found["coefficients"]) == names
        assert len(found["at"]) == 1


def test_text_output_names_laws_intervals_and_comparison(runs: Path) -> None:
    done = call(fit, runs, "--law", "joint", "--bootstrap", 50, "--compare", "CC", "--rolling")
    assert done.exit_code == 0
    for part in ("CC: joint law", "alpha", "speed-up", "RMABE", "cross"):
        assert part in done.stdout


def test_predictions_at_any_size(runs: Path) -> None:
    words = [runs, "--law", "joint", "--bootstrap", 50, "--predict", "params=7B,tokens=1T"]
    rows = json.loads(call(fit, *words, "--json").stdout)["predictions"]
    assert [row["mixture"] for row in rows] == ["CC", "33HQ"]
    for row in rows:
        assert row["interval"][0] < row["loss"] < row["interval"][1]
        assert row["run_interval"][0] < row["loss"] < row["run_interval"][1]
        assert row["extrapolation"]["tokens"] == pytest.approx(10)
    assert "predicted loss" in call(fit, *words).stdout
    missing = call(fit, *words[:-1], "params=7B")
    assert isinstance(missing.exception, UsageError)


def test_fit_then_recommend(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "laws.json"
    assert call(fit, runs, "--law", "joint", "--bootstrap", 100, "--out", out).exit_code == 0
    done = call(recommend, "--laws", out, "--params", "1B", "--tokens", "50B", "--json")
    found = json.loads(done.stdout)
    assert found["best"]["mixture"] == "33HQ"
    assert found["best"]["interval"]
    text = call(recommend, "--laws", out, "--params", "1B", "--tokens", "50B").stdout
    assert text.startswith("Train on '33HQ'")


def test_ratio_laws_from_the_command_line(tmp_path: Path) -> None:
    runs = table(tmp_path / "runs.csv", share_rows())
    out = tmp_path / "laws.json"
    done = call(fit, runs, "--law", "ratio", "--bootstrap", 50, "--json", "--out", out)
    law = json.loads(done.stdout)["laws"][0]
    assert law["good_ratio"] and law["candidates"]
    found = call(recommend, "--laws", out, "--params", "1B", "--tokens", "50B", "--json")
    assert 0.2 < json.loads(found.stdout)["best"]["synthetic_ratio"] < 0.45


def test_recommend_from_the_reference_with_costs() -> None:
    words = ["--reference", "--params", "7B", "--tokens", "1.5e12", "--natural-tokens", "500B",
             "--generator-cost", "0.2", "--training-cost", "2e-18"]  # fmt: skip
    done = call(recommend, *words, "--json")
    assert json.loads(done.stdout)["best"]["equal_loss"]["net_money_saved"] is not None
    text = call(recommend, *words).stdout
    for part in ("arXiv 2510.01631", "net money saved", "Natural tokens would repeat", "! extrap"):
        assert part in text


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


GOOD = "params,tokens,loss\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("params,loss\n1e9,3\n", "expected a column 'tokens'"),
        ("", "empty file"),
        (GOOD, "no rows"),
        (GOOD + "1e9,1e9,3.0\n1e9,2e9,2.9\n", "found 2 points"),
        (GOOD + "".join(f"1e9,1e9,{3 + i / 10}\n" for i in range(8)), "1 distinct settings"),
        (GOOD + "".join(f"1e9,-{i}e9,3.0\n" for i in range(1, 8)), "tokens: found -1e"),
        (GOOD + "".join(f"1e9,{i}e9,high\n" for i in range(1, 8)), "loss: found 'high'"),
    ],
)
def test_bad_tables_are_refused_without_a_traceback(
    tmp_path: Path, text: str, message: str
) -> None:
    done = call(fit, write(tmp_path / "runs.csv", text), "--law", "data")
    assert isinstance(done.exception, UsageError)
    assert done.exception.exit_status == 2
    assert message in str(done.exception)
    assert "runs.csv" in str(done.exception)


def test_one_bad_cell_is_reported_and_the_rest_is_fitted(tmp_path: Path) -> None:
    rows = joint_rows(sizes=(1e9,))
    rows[3]["loss"] = "oops"
    rows[4]["tokens"] = -5
    done = call(fit, table(tmp_path / "runs.csv", rows), "--law", "data", "--json")
    found = json.loads(done.stdout)
    assert [row["row"] for row in found["left_out"]] == [5, 6]
    assert found["laws"][0]["points"] == 5


@pytest.mark.parametrize(
    "words",
    [
        ["--params", "1B", "--tokens", "2B"],
        ["--reference", "--laws", "x.json", "--params", "1B", "--tokens", "2B"],
        ["--reference", "--params", "big", "--tokens", "2B"],
        ["--reference", "--params", "1B", "--tokens", "-3"],
        ["--laws", "absent.json", "--params", "1B", "--tokens", "2B"],
        ["--reference", "--params", "1B", "--tokens", "2B", "--baseline", "nothing"],
        ["--reference", "--params", "1B", "--tokens", "2B", "--generator-cost", "-1"],
    ],
)
def test_wrong_use_of_recommend_is_refused(words: list[str]) -> None:
    done = call(recommend, *words)
    assert isinstance(done.exception, UsageError)


@pytest.mark.parametrize("text", ["", "[1]", '{"laws": 3}', '{"laws": [{"law": "data"}]}'])
def test_files_that_hold_no_laws_are_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "laws.json", text)
    done = call(recommend, "--laws", path, "--params", "1B", "--tokens", "2B")
    assert isinstance(done.exception, UsageError)
    assert "laws.json" in str(done.exception)


def test_laws_import_neither_torch_nor_what_is_slow() -> None:
    code = (
        "import sys, synthlaw.laws.api\n"
        "import synthlaw.laws.answer.advice, synthlaw.laws.answer.reference\n"
        "print([m for m in ('torch', 'scipy', 'pyarrow', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--at", "parms=1B"], "--at parms"),
        (["--at", "params=1B", "--at", "params=2B"], "params twice"),
        (["--fixed", "gamma=0.3"], "expected one of E, A, B"),
        (["--fixed", "alpha=high"], "--fixed"),
        (["--predict", "parms=7B,tokens=1T"], "found 'parms'"),
        (["--predict", "params=7B,tokens=1T,seed=3"], "found 'seed'"),
        (["--compare", "C4"], "found no mixture 'C4'"),
        (["--by", "flavour"], "expected 'flavour'"),
        (["--holdout", "steps>3"], "one of the columns"),
        (["--where", "mixture=='C4'"], "found no runs where"),
        (["--params-column", "N"], "expected 'N'"),
        (["--ratio-column", "share"], "expected 'share'"),
        (["--form", "quadratic"], "found 'quadratic'"),
    ],
)
def test_names_that_are_not_there_are_refused(runs: Path, words: list[str], message: str) -> None:
    done = call(fit, runs, "--law", "joint", "--bootstrap", 0, *words)
    assert isinstance(done.exception, UsageError)
    assert message in str(done.exception)


def test_a_data_law_predicts_only_where_it_was_taken(runs: Path) -> None:
    words = [runs, "--law", "data", "--bootstrap", 0, "--json", "--predict"]
    rows = json.loads(call(fit, *words, "params=100M,tokens=1,000B").stdout)["predictions"]
    assert [row["at"]["params"] for row in rows] == pytest.approx([0.1, 0.1])
    elsewhere = call(fit, *words, "params=7B,tokens=1T")
    assert isinstance(elsewhere.exception, UsageError)
    assert "were taken for" in str(elsewhere.exception)


def test_what_reading_had_to_say_is_printed(tmp_path: Path) -> None:
    rows = [{"N": row["params"], "D": row["tokens"], "val_loss": row["loss"], "State": "finished"}
            for row in joint_rows()]  # fmt: skip
    rows[2]["State"] = "crashed"
    path = table(tmp_path / "export.csv", rows)
    text = call(fit, path, "--law", "joint", "--bootstrap", 0).stdout
    for part in ("column 'N' is taken for params", "41 points", "line 4: state is 'crashed'"):
        assert part in text
    assert len(json.loads(call(fit, path, "--law", "joint", "--json").stdout)["notes"]) == 3


def test_one_mixture_from_table_to_advice(tmp_path: Path) -> None:
    path, out = table(tmp_path / "runs.csv", joint_rows()), tmp_path / "laws.json"
    assert call(fit, path, "--law", "joint", "--bootstrap", 60, "--out", out).exit_code == 0
    text = call(recommend, "--laws", out, "--params", "7B", "--tokens", "200B").stdout
    for part in ("expected loss", "are best spent on", "second one", "2.3 times in parameters"):
        assert part in text
    wrong = call(recommend, "--laws", out, "--params", "7", "--tokens", "200B")
    assert "Did you mean 7B?" in str(wrong.exception)


def test_laws_are_not_written_over_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{n}e6,{d}e9,{2 + n**-0.3 + d**-0.3}" for n in (1, 4, 16) for d in (1, 2, 4, 8)]
    table = "params,tokens,loss\n" + "\n".join(rows) + "\n"
    Path("runs.csv").write_text(table)
    for _ in range(2):  # laws are replaced by laws
        done = CliRunner().invoke(fit, ["runs.csv", "--law", "joint", "--out", "laws.json"])
        assert done.exit_code == 0, done.output
    done = CliRunner().invoke(fit, ["runs.csv", "--law", "joint", "--out", "runs.csv"])
    assert "would replace another file" in str(done.exception)
    assert Path("runs.csv").read_text() == table
