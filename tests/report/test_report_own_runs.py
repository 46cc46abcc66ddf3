"""The page of a table of anyone's runs: no study, no `run` column, no answer that is not there."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from simulated_runs import JOINT_TRUTH, joint_rows

from synthlaw.cli.laws import fit
from synthlaw.cli.report import report
from synthlaw.common.errors import UsageError

HOSTILE = "<script>alert(1)</script>"


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def call(command: Any, *words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    rows = [
        *joint_rows(mixture="CC", synthetic_ratio=0.0),
        *joint_rows({**JOINT_TRUTH, "E": 1.7}, mixture="33HQ", synthetic_ratio=0.33, seed=1),
    ]
    return write(tmp_path / "runs.csv", rows)


def test_fit_writes_the_page_of_a_table_that_names_no_runs(runs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    done = call(fit, runs, "--law", "joint", "--bootstrap", 30, "--report", folder)
    assert done.exit_code == 0, done.output
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert "No answer yet" not in text and "Not here yet" not in text
    assert "33HQ" in text and "line 2" in text
    assert (folder / "figures" / "data_scaling.svg").is_file()
    answered = (folder / "tables" / "answer.csv").read_text(encoding="utf-8").splitlines()
    assert [row.split(",")[0] for row in answered[1:]] == ["33HQ", "CC"]


@pytest.mark.usefixtures("no_files")
def test_every_entry_of_the_contents_is_on_the_page(runs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    assert call(fit, runs, "--law", "data", "--bootstrap", 0, "--report", folder).exit_code == 0
    text = (folder / "index.html").read_text(encoding="utf-8")
    contents = text[text.index("<nav") : text.index("</nav>")]
    places = [part.partition('"')[0] for part in contents.split('href="#')[1:]]
    assert {"answer", "data-scaling", "laws", "runs"} <= set(places)
    assert not {"samples", "cost", "study-file"} & set(places)
    assert all(f'id="{place}"' in text for place in places)


@pytest.mark.usefixtures("no_files")
def test_report_fits_the_laws_or_takes_those_of_fit(runs: Path, tmp_path: Path) -> None:
    laws = tmp_path / "laws.json"
    assert call(fit, runs, "--law", "joint", "--bootstrap", 30, "--out", laws).exit_code == 0
    taken, fitted = tmp_path / "taken", tmp_path / "fitted"
    for folder, more in ((taken, ["--laws", laws]), (fitted, [])):
        done = call(report, "--runs", runs, *more, "--out", folder)
        assert done.exit_code == 0, done.output
    kinds = {
        folder: {row["law"] for row in csv.DictReader((folder / "tables/laws.csv").open())}
        for folder in (taken, fitted)
    }
    assert kinds == {taken: {"joint"}, fitted: {"data", "model", "joint"}}


@pytest.mark.usefixtures("no_files")
def test_names_of_a_table_are_inert(runs: Path, tmp_path: Path) -> None:
    text = runs.read_text(encoding="utf-8").replace("33HQ", HOSTILE)
    folder = tmp_path / "page"
    runs.write_text(text, encoding="utf-8")
    done = call(fit, runs, "--law", "joint", "--bootstrap", 0, "--report", folder)
    assert done.exit_code == 0, done.output
    assert HOSTILE not in (folder / "index.html").read_text(encoding="utf-8")


def test_a_folder_that_is_not_a_report_stays(runs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "index.html").write_text("mine", encoding="utf-8")
    done = call(fit, runs, "--law", "joint", "--bootstrap", 0, "--report", folder)
    assert done.exit_code != 0
    assert (folder / "index.html").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("words", [[], ["--runs", "runs.csv"], ["--out", "x"]])
def test_half_a_request_says_what_is_missing(words: list[str], runs: Path) -> None:
    done = call(report, *words)
    assert isinstance(done.exception, UsageError)
    assert "--runs" in str(done.exception)


@pytest.mark.usefixtures("no_files")
@pytest.mark.parametrize(
    "options",
    [["--law", "repetition"], ["--law", "joint", "--form", "E + A * params**-a + B * tokens**-b"]],
)
def test_laws_that_answer_no_question_have_a_page_too(options: list[str], tmp_path: Path) -> None:
    lines = ["params,tokens,unique_tokens,mixture,loss"]
    for params in (1e8, 4e8, 1e9):
        for tokens in (2e9, 8e9, 3e10):
            for repeats in (1, 4, 16) if options[1] == "repetition" else (1,):
                fresh = tokens / repeats * (1 + 15 * (1 - 2.718 ** (-(repeats - 1) / 15)))
                loss = 2 + 0.3 * (params / 1e9) ** -0.3 + 1.1 * (fresh / 1e9) ** -0.4
                lines.append(f"{params},{tokens},{tokens / repeats},CC,{loss:.5f}")
    table = tmp_path / "runs.csv"
    table.write_text("\n".join(lines), encoding="utf-8")
    folder = tmp_path / "page"
    done = call(fit, table, *options, "--bootstrap", 0, "--report", folder)
    assert done.exit_code == 0, done.output
    assert "These laws answer no questions here" in (folder / "index.html").read_text("utf-8")
