"""What `status` says of a study whose jobs a scheduler has, or does not answer for."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sandbox import Sandbox

from synthlaw.cli.main import cli
from synthlaw.study.status import status_lines, study_status

JOBS = [
    {"job": "7_0", "driver": False, "state": "RUNNING", "hosts": "n1", "log": "o/a/x/logs/0.log"},
    {"job": "7_1", "driver": False, "state": "PENDING", "hosts": "", "log": "o/a/x/logs/1.log"},
]


@pytest.fixture
def begun(sandbox: Sandbox) -> Path:
    """A study folder whose jobs were given to Slurm."""
    sandbox.out.mkdir()
    (sandbox.out / "study.yaml").write_text(sandbox.write().read_text())
    array = sandbox.out / "slurm" / "arrays" / "synthlaw-0123456789ab"
    array.mkdir(parents=True)
    (array / "array.json").write_text(json.dumps({"path": []}))
    return sandbox.out


def _without_commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def test_a_queue_that_cannot_be_asked_is_not_taken_for_an_empty_one(
    begun: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _without_commands(monkeypatch, tmp_path)
    before = sorted(begun.rglob("*"))
    done = CliRunner().invoke(cli, ["status", str(begun), "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["queue"] == {"jobs": [], "unknown": "squeue: is not on PATH"}
    said = CliRunner().invoke(cli, ["status", str(begun)]).stdout
    assert "queue      not known: squeue: is not on PATH" in said
    assert sorted(begun.rglob("*")) == before


def test_a_silent_controller_holds_nobody_up(
    begun: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\nexec sleep 60\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("synthlaw.execute.slurm.live.LOOK_SECONDS", 0.2)
    assert study_status(begun)["queue"]["unknown"] == "squeue: no answer in 0.2 s"


@pytest.mark.parametrize(
    ("jobs", "unknown", "said"),
    [
        (JOBS, "", ["no driver, but jobs in the queue", "queue      1 running, 1 pending on n1"]),
        (JOBS, "ray: gone", ["1 running, 1 pending on n1", "queue      not known: ray: gone"]),
        ([{**JOBS[1], "driver": True}], "", ["to be driven by Slurm job 7_1, pending"]),
    ],
)
def test_jobs_are_told_whoever_else_is_silent(
    begun: Path,
    monkeypatch: pytest.MonkeyPatch,
    jobs: list[dict[str, Any]],
    unknown: str,
    said: list[str],
) -> None:
    queue = {"jobs": jobs, "unknown": unknown}
    monkeypatch.setattr("synthlaw.study.status.live_jobs", lambda root: queue)
    told = "\n".join(status_lines(study_status(begun)))
    for words in said:
        assert words in told
