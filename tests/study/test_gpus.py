"""A study whose runs each train on several processes, as on several GPUs of one machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox import Sandbox

from synthlaw.common.errors import SynthlawError
from synthlaw.common.files import read_json
from synthlaw.study import plan
from synthlaw.study.load import load_study
from synthlaw.study.pipeline import run_study
from synthlaw.study.plan import plan_lines, plan_study
from synthlaw.study.status import status_lines, study_status


@pytest.fixture
def one(sandbox: Sandbox) -> Sandbox:
    """One run, without a generator."""
    sandbox.value["ladder"] = {
        "budgets": [512],
        "sizes": {"a": {"dim": 16, "layers": 1, "heads": 2}},
    }
    sandbox.value["mixtures"] = {"CC": {"natural": 1.0}}
    del sandbox.value["generate"]
    return sandbox


def run(one: Sandbox, gpus: int) -> None:
    one.value["execution"] = {"workers": 1, "gpus_per_run": gpus}
    text = one.write().read_text(encoding="utf-8")
    run_study(text, "study.yaml", one.folder, one.out, until="training")


@pytest.mark.slow
def test_a_failed_run_is_marked_and_tried_again(one: Sandbox) -> None:
    """Four rows cannot be dealt to three processes; two share them."""
    with pytest.raises(SynthlawError, match="found 4 rows of 32 tokens for 3 processes"):
        run(one, 3)
    status = study_status(one.out)
    assert list(status["runs"]["failed"]) == ["CC-a-512-s0"]
    assert any(line.startswith("failed     CC-a-512-s0: batch") for line in status_lines(status))

    run(one, 2)
    runs = study_status(one.out)["runs"]
    assert (runs["failed"], runs["done"], runs["left"]) == ({}, 1, 0)
    result = next(Path(one.out).glob("artifacts/training/CC-a*/result.json"))
    assert read_json(result)["status"] == "finished"


def test_a_plan_says_what_would_fit(one: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "machine_bytes", lambda device: 20e9 if device == "cpu" else None)
    one.value["execution"] = {"workers": 1}
    one.value["training"] = {"context": 4096, "batch_tokens": 4096 * 64, "dtype": "bf16"}
    one.value["ladder"] = {"sizes": ["1B"], "budgets": ["1M"]}
    made = plan_study(load_study(one.write()), one.folder)
    assert made["memory"]["fits"] is False
    assert made["memory"]["advice"] == "micro_batch 2 with recompute would fit"
    line = next(line for line in plan_lines(made) if "DOES NOT FIT" in line)
    assert "of 20 GB free for it on this machine's cpu" in line
