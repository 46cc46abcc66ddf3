"""A study's precision: settled once, kept elsewhere, its cost said where it is emulated."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from sandbox import Sandbox

from synthlaw.study.pipeline import run_study
from synthlaw.training.precision import PrecisionRecord, PrecisionRequest

OLD = {"machine": "an old processor", "native": "", "processor": "old"}
NEW = {"machine": "a new processor", "native": "AMX", "processor": "new"}


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """What was said, with the lines that a terminal would break joined."""
    return " ".join(capsys.readouterr().err.split())


@pytest.fixture
def small(sandbox: Sandbox) -> Sandbox:
    """Natural text alone, one size, two budgets."""
    sandbox.value["mixtures"] = {"CC": {"natural": 1.0}}
    del sandbox.value["generate"], sandbox.value["training"]["dtype"]
    sandbox.value["ladder"] = {"sizes": {"a": {"dim": 16, "layers": 1, "heads": 2}}}
    sandbox.value["ladder"]["budgets"] = [256, 512]
    return sandbox


def run(sandbox: Sandbox) -> list[str]:
    """Train and score; the artifacts made."""
    text = sandbox.write().read_text(encoding="utf-8")
    return run_study(text, "study.yaml", sandbox.folder, sandbox.out, until="evaluation").made


def trained_in(out: Path) -> dict[str, str]:
    found = {}
    for path in (out / "artifacts" / "training").glob("*/result.json"):
        result = json.loads(path.read_text())
        found[path.parent.name] = result["identity"]["config"]["dtype"]
    return found


def machine_is(monkeypatch: pytest.MonkeyPatch, facts: dict[str, str], dtype: str) -> list[str]:
    """Make this machine another: what `auto` settles there. The list is told what was asked."""
    asked: list[str] = []

    def settle(executor: object, request: PrecisionRequest) -> PrecisionRecord:
        asked.append(request.asked)
        chosen = dtype if request.asked == "auto" else request.asked
        ratio = 50.0 if chosen == "bf16" and not facts["native"] else None
        values = {"asked": request.asked, "dtype": chosen, "ratio": ratio, **facts}
        return PrecisionRecord.model_validate(values)

    monkeypatch.setattr("synthlaw.study.pipeline.settled_by", settle)
    monkeypatch.setattr("synthlaw.study.precision.processor_digest", lambda: facts["processor"])
    return asked


def test_a_study_begun_in_fp32_stays_so_where_bf16_is_native(
    small: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine_is(monkeypatch, OLD, "fp32")
    run(small)
    assert "precision: fp32 (auto was asked; an old processor" in told(capsys)
    machine_is(monkeypatch, NEW, "bf16")
    small.value["ladder"]["budgets"] = [256, 512, 1024]
    made = run(small)
    said = told(capsys)
    assert sum(name.startswith("training/") for name in made) == 1  # what was done is kept
    assert len(trained_in(small.out)) == 3 and set(trained_in(small.out).values()) == {"fp32"}
    assert "precision: fp32, as this study began on another machine (an old processor)" in said
    assert "this one has bf16 by AMX" in said


def test_a_study_begun_in_bf16_stays_so_and_says_what_it_costs(
    small: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine_is(monkeypatch, NEW, "bf16")
    run(small)
    assert "warning:" not in told(capsys)
    machine_is(monkeypatch, OLD, "fp32")
    assert not any(name.startswith("training/") for name in run(small))
    said = told(capsys)
    assert set(trained_in(small.out).values()) == {"bf16"}
    assert said.count("warning:") == 1 and "50 times as long" in said


def test_it_is_settled_once(small: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = machine_is(monkeypatch, OLD, "fp32")
    run(small)
    run(small)
    assert asked == ["auto"]


def test_a_precision_asked_by_name_later_is_obeyed(
    small: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine_is(monkeypatch, OLD, "fp32")
    run(small)
    small.value["training"]["dtype"] = "bf16"
    run(small)
    assert "runs made in fp32 are no part of it any more" in told(capsys)
    assert sorted(trained_in(small.out).values()) == ["bf16", "bf16", "fp32", "fp32"]


def test_nothing_is_settled_for_stages_before_training(
    small: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = machine_is(monkeypatch, OLD, "fp32")
    text = small.write().read_text(encoding="utf-8")
    run_study(text, "study.yaml", small.folder, small.out, until="tokens")
    assert asked == []


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="holds down x86 processors")
def test_bf16_by_name_where_it_is_emulated_is_warned_of_once_in_plan_and_run(
    small: Sandbox,
) -> None:
    small.value["training"]["dtype"] = "bf16"
    # Wide enough for products, not what is around them, to take the time.
    small.value["ladder"] |= {
        "budgets": [128],
        "sizes": {"a": {"dim": 128, "layers": 1, "heads": 2}},
    }
    path = small.write()
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}

    def call(*arguments: str) -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "synthlaw", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout, " ".join(done.stderr.split())

    ratio = r"was measured to take ([0-9.]+) times as long as in fp32"
    plan = call("plan", str(path))[0]
    assert plan.count("WARNING") == 1
    planned = re.findall(ratio, plan)
    said = call("run", str(path), "--out", str(small.out), "--until", "evaluation")[1]
    assert said.count("warning:") == 1
    for found in (planned, re.findall(ratio, said)):
        assert len(found) == 1 and float(found[0]) > 2
    assert set(trained_in(small.out).values()) == {"bf16"}


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="holds down x86 processors")
def test_auto_on_a_processor_that_is_held_down_is_fp32_without_a_warning(small: Sandbox) -> None:
    path = small.write()
    done = subprocess.run(
        [sys.executable, "-m", "synthlaw", "plan", str(path), "--json"],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)["precision"]
    assert (found["dtype"], found["native"], found["warning"]) == ("fp32", "", None)
    assert yaml.safe_load(path.read_text())["training"].get("dtype") is None
