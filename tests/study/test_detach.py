"""A study left to a driver that goes on without the terminal that started it."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from sandbox import Sandbox

from synthlaw.execute.base import DRIVER_LOG
from synthlaw.study.status import study_status


@pytest.fixture
def small(sandbox: Sandbox) -> Sandbox:
    """One run, without a generator."""
    sandbox.value["ladder"] = {
        "budgets": [512],
        "sizes": {"a": {"dim": 16, "layers": 1, "heads": 2}},
    }
    sandbox.value["mixtures"] = {"CC": {"natural": 1.0}}
    sandbox.value["execution"] = {"workers": 1}
    del sandbox.value["generate"]
    return sandbox


def detach(small: Sandbox) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "synthlaw", "run", str(small.write()), "--out"]
    command += [str(small.out), "--until", "evaluation", "--detach", "--json"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_detached_study_runs_to_its_end(small: Sandbox) -> None:
    done = detach(small)
    assert done.returncode == 0, done.stderr
    assert "process" in json.loads(done.stdout)["driver"]
    until = time.monotonic() + 120
    while study_status(small.out)["runs"]["done"] < 1 or study_status(small.out)["running"]:
        assert time.monotonic() < until, (small.out / DRIVER_LOG).read_text()
        time.sleep(0.2)
    assert (small.out / "runs.csv").exists()
    assert "training" in (small.out / DRIVER_LOG).read_text()


def test_what_can_be_checked_is_checked_at_the_terminal(small: Sandbox) -> None:
    small.value["natural"] = {"path": "nowhere.jsonl"}
    done = detach(small)
    assert done.returncode == 2
    assert "nowhere.jsonl" in done.stderr
    assert not small.out.exists()


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ({"c": {}}, "execution.resources: found 'c'; expected a size of the ladder"),
        ({"a": {"nodes": 0}}, "execution.resources.a.nodes"),
        ({"a": {"nodes": 2}}, "execution.resources.a.nodes: found 2 with the executor 'local'"),
    ],
)
def test_resources_that_cannot_be_are_named(
    small: Sandbox, resources: dict[str, object], said: str
) -> None:
    small.value["execution"] = {"resources": resources}
    done = detach(small)
    assert done.returncode == 2
    assert said in done.stderr
