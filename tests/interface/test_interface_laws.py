"""`import synthlaw`: tables of runs, fits and advice in Python, beside the command line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner
from simulated_runs import joint_rows

import synthlaw as sl
from synthlaw.cli.laws import fit as fit_command
from synthlaw.cli.laws import recommend as recommend_command

BETTER = {"E": 1.7, "A": 0.45, "B": 0.85, "alpha": 0.34, "beta": 0.3}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    natural = joint_rows(mixture="CC", synthetic_ratio=0.0, seed=1)
    return natural + joint_rows(BETTER, mixture="33HQ", synthetic_ratio=0.33, seed=2)


@pytest.fixture(scope="module")
def laws(rows: list[dict[str, Any]]) -> sl.Laws:
    return sl.fit(rows, "joint", by="mixture", bootstrap=200)


def written(rows: list[dict[str, Any]], path: Path) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_importing_loads_nothing_heavy_and_no_part_of_it_torch() -> None:
    code = """
import sys
import synthlaw as sl
assert not {"numpy", "scipy", "pydantic", "torch"} & set(sys.modules), sys.modules
assert set(sl.__all__) <= set(dir(sl))
for name in sl.__all__:
    getattr(sl, name)
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        sl.fitt  # noqa: B018


def test_every_kind_of_table_reads_the_same(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    path = written(rows, tmp_path / "runs.csv")
    renamed = [{"N": r["params"], "D": r["tokens"], **r} for r in rows]
    for row in renamed:
        del row["params"], row["tokens"]
    tables = [
        sl.read_runs(str(path)),
        sl.read_runs(path),
        sl.read_runs(pa.Table.from_pylist(rows)),
        sl.read_runs(renamed, params="N", tokens="D"),
    ]
    fits = [sl.fit(table, bootstrap=0).to_json()["laws"] for table in tables]
    assert all(fit == fits[0] for fit in fits)
    assert "84 runs" in repr(tables[0])


def test_a_frame_goes_in_and_comes_out(rows: list[dict[str, Any]], laws: sl.Laws) -> None:
    pandas = pytest.importorskip("pandas")
    again = sl.fit(pandas.DataFrame(rows), bootstrap=200)
    assert again.to_json() == {**laws.to_json(), "notes": again.notes}
    frame = laws.to_frame()
    assert list(frame["mixture"]) == ["CC", "33HQ"]
    assert (frame["E_low"] < frame["E"]).all()
    assert len(sl.read_runs(rows).to_frame()) == len(rows)


def test_a_law_answers_in_short(laws: sl.Laws) -> None:
    found = laws["33HQ"].predict("7B", "2T")
    assert found.interval is not None
    low, high = found.interval
    assert low < float(found) < high
    assert found.extrapolation["params"] == pytest.approx(7 / 3)
    assert float(laws["33HQ"].losses(params=[7e9], tokens=[2e12])[0]) == float(found)
    assert len(repr(laws)) < 400
    assert "33HQ" in repr(laws)


def test_what_is_not_there_is_named(laws: sl.Laws, rows: list[dict[str, Any]]) -> None:
    with pytest.raises(sl.UsageError, match=r"'QA'.*'CC'"):
        laws["QA"]
    with pytest.raises(sl.UsageError, match="params: found 'seven'"):
        laws["CC"].predict("seven", "2T")
    with pytest.raises(sl.UsageError, match="found no tokens"):
        laws["CC"].predict("7B")
    with pytest.raises(sl.UsageError, match="found int; expected a path"):
        sl.read_runs(7)
    with pytest.raises(sl.UsageError, match="no rows"):
        sl.read_runs([])
    several = sl.fit(rows, "data", bootstrap=0)
    with pytest.raises(sl.UsageError, match="found 6 laws of 'CC'"):
        several["CC"]
    assert several.of("CC", params="3B").fit.law == "data"


def test_python_and_the_command_line_say_the_same(
    rows: list[dict[str, Any]], laws: sl.Laws, tmp_path: Path
) -> None:
    path = written(rows, tmp_path / "runs.csv")
    printed = CliRunner().invoke(
        fit_command, [str(path), "--law", "joint", "--bootstrap", "200", "--json"]
    )
    assert json.loads(printed.stdout)["laws"] == laws.to_json()["laws"]
    laws.save(tmp_path / "laws.json")
    with pytest.raises(sl.UsageError, match="would replace another file"):
        laws.save(path)
    options = ["--params", "7B", "--tokens", "200B", "--json"]
    command = CliRunner().invoke(
        recommend_command, ["--laws", str(tmp_path / "laws.json"), *options]
    )
    advice = sl.recommend(tmp_path / "laws.json", params="7B", tokens="200B")
    assert json.loads(command.stdout) == json.loads(json.dumps(advice.record))
    reference = CliRunner().invoke(recommend_command, ["--reference", *options])
    published = sl.recommend(params="7B", tokens="200B")
    assert json.loads(reference.stdout) == json.loads(json.dumps(published.record))
    assert published.text in str(published)
    assert published.options[0]["mixture"] == published.best["mixture"]  # type: ignore[index]


def test_a_notebook_shows_names_inert(rows: list[dict[str, Any]]) -> None:
    hostile = [{**row, "mixture": row["mixture"] + "<script>"} for row in rows]
    advice = sl.recommend(sl.fit(hostile, bootstrap=50), params="2B", tokens="50B")
    shown = advice._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_the_papers_laws_are_at_hand() -> None:
    laws = sl.reference_laws()
    assert {"CC", "33HQ", "33QA"} <= set(laws.mixtures)


@pytest.mark.parametrize("along", ["tokens", "params"])
def test_laws_are_drawn_with_their_runs(along: str) -> None:
    rows = joint_rows(mixture="CC") + joint_rows(mixture="HQ", seed=1)
    figure = sl.fit(rows, "joint", by="mixture", bootstrap=20).plot(along)
    words = {text.get_text().strip() for text in figure.legends[0].get_texts()}
    assert {"CC", "HQ"} <= words
    assert any(line.get_xdata().size > 10 for axes in figure.axes for line in axes.lines)


def test_laws_without_runs_say_what_they_lack() -> None:
    with pytest.raises(sl.UsageError, match="found no runs to draw"):
        sl.reference_laws().plot()
    with pytest.raises(sl.UsageError, match="found 'loss'; expected tokens or params"):
        sl.fit(joint_rows(), "joint", bootstrap=0).plot("loss")
