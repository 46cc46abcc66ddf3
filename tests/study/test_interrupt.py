"""Ctrl-C while a study trains: the worker saves its run before it goes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from sandbox import Sandbox

PROGRAM = """\
import signal
from synthlaw.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
"""Tests that a shell started in the background ignore Ctrl-C, and their children with them."""


def test_ctrl_c_saves_the_run_in_progress(sandbox: Sandbox) -> None:
    sandbox.value["ladder"] = {
        "budgets": ["1M"],
        "sizes": {"a": {"dim": 16, "layers": 1, "heads": 2}},
        "max_epochs": 100,
    }
    sandbox.value["mixtures"] = {"CC": {"natural": 1.0}}
    sandbox.value["execution"] = {"workers": 1}
    del sandbox.value["generate"]
    command = [sys.executable, "-c", PROGRAM, "run", str(sandbox.write())]
    process = subprocess.Popen(
        [*command, "--out", str(sandbox.out)], stderr=subprocess.PIPE, text=True
    )
    logs, until = "work/training/CC-*/metrics.jsonl", time.monotonic() + 120
    while process.poll() is None and time.monotonic() < until:
        if any(len(path.read_bytes()) > 500 for path in sandbox.out.glob(logs)):
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode != 0
    assert "Traceback" not in said
    # Checkpoints are otherwise taken every minute.
    assert len(list(sandbox.out.glob("work/training/CC-*/checkpoints/step-*/state.json"))) == 1
