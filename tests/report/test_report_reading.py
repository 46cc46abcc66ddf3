"""Broken files are named with place, what was found and what would be right; odd ones are read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synthlaw.common.errors import UsageError
from synthlaw.report.reading import read_runs, read_study
from synthlaw.report.text import clean_text

HEADER = "run,mixture,params,tokens,loss,status,synthetic_ratio,loss/web\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("laws.json", "{", r"laws\.json: found Expecting property name"),
        ("laws.json", '{"laws": [{"mixture": "CC", "law": "data"}]}', r"laws\.0\.coefficients"),
        ("laws.json", "[]", r"laws\.json, the top: found \[\]"),
        ("advice.json", '{"advice": 3}', r"advice\.json, advice: found 3"),
        ("advice.json", '{"advice": "x", "options": [{"mixture": "a", '
         '"probability_best": 1.5}]}', r"options\.0\.probability_best: found 1\.5"),
        ("timings.json", '[{"stage": "laws", "seconds": -1}]', r"0\.seconds: found -1"),
        ("runs.csv", "run,mixture\na,b\n", r"found the columns run, mixture; loss, params, tokens"),
        ("runs.csv", "", r"found the columns an empty file"),
        ("runs.csv", HEADER + "a,CC,1e5,2e4,often,done,,\n", r"csv:2, column loss: .*'often'"),
        ("runs.csv", HEADER + "a,CC,-1,2e4,5,done,,\n", r"column params: found '-1'"),
        ("runs.csv", HEADER + "a,CC,1e5,2e4,,done,,\n", r"a run that is done has a loss"),
    ],
)  # fmt: skip
def test_a_broken_file_is_named(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=message) as caught:
        read_study(tmp_path)
    assert name in str(caught.value)


def test_a_diverged_run_is_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(HEADER + "a,CC,1e5,2e4,5.5,done,,5.1\nb,CC,1e5,2e4,nan,diverged,,\n", "utf-8")
    runs = read_runs(path)
    assert [run.loss for run in runs] == [5.5, None]
    assert runs[0].domains == {"web": 5.1} and runs[1].domains == {}
    study = read_study(tmp_path)
    assert [run.run for run in study.finished_runs()] == ["a"]


def test_unknown_keys_and_numbers_that_are_not_finite_are_let_pass(tmp_path: Path) -> None:
    text = '{"advice": "x", "new": {}, "options": [{"mixture": "a", "speedup": Infinity}]}'
    (tmp_path / "advice.json").write_text(text, encoding="utf-8")
    advice = read_study(tmp_path).advice
    assert advice is not None and advice.mixtures[0].speedup is None


def test_a_law_holds_its_place_in_plain_counts(tmp_path: Path) -> None:
    one = {
        "mixture": "CC",
        "law": "data",
        "coefficients": {},
        "at": {"params": 0.332},
        "unit": {"params": 1e6, "tokens": 1e9},
    }
    (tmp_path / "laws.json").write_text(json.dumps({"laws": [one]}), encoding="utf-8")
    law = read_study(tmp_path).laws[0]
    assert law.fixed_at("params") == pytest.approx(332_000) and law.fixed_at("tokens") is None


@pytest.mark.parametrize(
    ("text", "name"),
    [("name: trial\n", "trial"), ("mixtures: [", "folder"), ("- a\n", "folder"),
     ("name: 3\n", "folder"), ("name: ' '\n", "folder")],
)  # fmt: skip
def test_a_study_is_called_by_its_file_or_its_folder(text: str, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    assert read_study(folder).name == name


def test_clean_text_keeps_lines_and_replaces_what_files_cannot_hold() -> None:
    assert clean_text("a\tb\r\nc") == "a\tb\nc"
    assert clean_text("\x1b[0m\x00") == "\ufffd[0m\ufffd"
    assert clean_text("\ud800") == "?"
