"""Mixtures of a study whose shares change, and sources of which only a part is read."""

from __future__ import annotations

import csv
import json

import pytest
from sandbox import Sandbox

from synthlaw.common.errors import UsageError
from synthlaw.study.grid import runs_of, tokens_needed
from synthlaw.study.load import load_study
from synthlaw.study.mixing import mean_shares, phases_of_run
from synthlaw.study.pipeline import run_study


def test_phases_are_parts_of_each_run(sandbox: Sandbox) -> None:
    sandbox.value["phases"] = {"33HQ": [{"after": 0.75, "shares": {"hq": 1.0}}]}
    study = load_study(sandbox.write())
    assert [phase.start for phase in phases_of_run(study, "33HQ", 64)] == [0, 48]
    assert mean_shares(study, "33HQ") == {"natural": 0.5025, "hq": 0.4975}
    assert mean_shares(study, "CC") == {"natural": 1.0}
    with pytest.raises(UsageError, match=r"phases\.33HQ: a run of 1 windows is too short"):
        phases_of_run(study, "33HQ", 1)
    need = tokens_needed(study, runs_of(study, 300))
    assert need["hq"] == pytest.approx(2048 * 0.4975, abs=33)


def test_unique_tokens_are_what_a_source_must_hold(sandbox: Sandbox) -> None:
    sandbox.value["ladder"] |= {"unique_tokens": {"natural": 640}, "max_epochs": 4}
    study = load_study(sandbox.write())
    assert tokens_needed(study, runs_of(study, 300))["natural"] == 641


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"phases": {"X": [{"after": 0.5, "shares": {"hq": 1.0}}]}}, "mixture 'X' does not exist"),
        ({"phases": {"CC": [{"after": 0.5, "shares": {"hq": 0.9}}]}}, "expected exactly 1"),
        ({"phases": {"CC": [{"after": 0.5, "shares": {"qa": 1.0}}]}}, "source 'qa' does not exist"),
        (
            {
                "phases": {
                    "CC": [
                        {"after": 0.5, "shares": {"hq": 1.0}},
                        {"after": 0.4, "shares": {"natural": 1.0}},
                    ]
                }
            },
            "expected rising numbers",
        ),
        (
            {
                "phases": {"CC": [{"after": 0.5, "shares": {"hq": 1.0}}]},
                "training": {"context": 32, "batch_tokens": 128, "schedule": "wsd"},
            },
            "runs of all budgets share their steps",
        ),
        ({"tokenizer": {"name": "llama2"}}, "expected llama3 or tiktoken:NAME"),
        ({"tokenizer": {"name": "llama3", "vocab": 300}}, "give one of 'vocab', 'path' and 'name'"),
    ],
)
def test_mistakes_are_told(sandbox: Sandbox, change: dict[str, object], said: str) -> None:
    sandbox.value |= change
    with pytest.raises(UsageError, match=said):
        load_study(sandbox.write())


def test_a_study_whose_shares_change_and_whose_natural_text_repeats(sandbox: Sandbox) -> None:
    sandbox.value["phases"] = {"33HQ": [{"after": 0.75, "shares": {"hq": 1.0}}]}
    sandbox.value["ladder"] |= {
        "sizes": {"a": {"dim": 16, "layers": 1, "heads": 2}},
        "budgets": [1024, 2048],
        "max_epochs": 4,
        "unique_tokens": {"natural": 640},
    }
    path = sandbox.write()
    run_study(path.read_text(), "study.yaml", sandbox.folder, sandbox.out, until="training")
    mixtures = json.loads((sandbox.out / "mixtures.json").read_text())
    found = {(m["mixture"], m["tokens"], s["source"]): s for m in mixtures for s in m["sources"]}
    assert found["CC", 2048, "natural"]["epochs"] == pytest.approx(2048 / 640)
    hq = found["33HQ", 2048, "hq"]
    assert hq["share_asked"] == pytest.approx(0.4975)
    assert abs(hq["tokens"] - 2048 * 0.4975) < 32
    with (sandbox.out / "runs.csv").open() as stream:
        ratios = {row["mixture"]: row["synthetic_ratio"] for row in csv.DictReader(stream)}
    assert ratios == {"CC": "0", "33HQ": "0.4975"}
