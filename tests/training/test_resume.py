"""Killed with -9 at random steps and resumed: the same bits as an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from runs import small_config, small_sampler

from synthlaw.common.digest import file_digest
from synthlaw.training.checkpoint import saved_steps
from synthlaw.training.interrupt import InterruptedRunError
from synthlaw.training.loop import TrainingProgress, train
from synthlaw.training.metrics import MetricsLog, read_metrics

STEPS = 40
EVERY = 6

WORKER = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from runs import small_config, small_sampler
from synthlaw.training.interrupt import InterruptedRunError
from synthlaw.training.loop import TrainingProgress, train
victim = int(sys.argv[3])
config = small_config(budget=40 * 64, checkpoint_every_steps=6, keep_optimizer=True)
def news(progress):
    if progress.step == victim:
        os.kill(os.getpid(), signal.SIGKILL)
train(config, small_sampler(config), Path(sys.argv[1]), on_progress=news)
"""


def run_until_killed(out: Path, step: int) -> int:
    command = [sys.executable, "-c", WORKER, str(out), str(Path(__file__).parent), str(step)]
    return subprocess.run(command, check=False).returncode


def files_of(out: Path) -> dict[str, str]:
    names = ("model.safetensors", "optimizer.safetensors", "model.json")
    return {name: file_digest(out / "model" / name) for name in names}


def losses_of(out: Path) -> list[tuple[int, float, float, float]]:
    rows = read_metrics(out / "metrics.jsonl")
    return [(r["step"], r["loss"], r["grad_norm"], r["lr"]) for r in rows]


@pytest.mark.parametrize("kills", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_killed_at_random_steps(tmp_path: Path, kills: int) -> None:
    config = small_config(budget=STEPS * 64, checkpoint_every_steps=EVERY, keep_optimizer=True)
    train(config, small_sampler(config), tmp_path / "whole")
    expected = losses_of(tmp_path / "whole")
    assert [row[0] for row in expected] == list(range(1, STEPS + 1))

    victims = sorted(random.Random(20261122).sample(range(2, STEPS), kills))
    out = tmp_path / "killed"
    for victim in victims:
        assert run_until_killed(out, victim) == -9
        # A kill between a checkpoint and the next leaves the last whole one, and only that.
        last = (victim - 1) // EVERY * EVERY
        assert saved_steps(out / "checkpoints") == ([last] if last else [])
    assert run_until_killed(out, -1) == 0

    assert losses_of(out) == expected
    assert files_of(out) == files_of(tmp_path / "whole")
    result = json.loads((out / "result.json").read_text())
    assert (result["steps"], result["status"]) == (STEPS, "finished")


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    """Killed from outside while it writes a checkpoint at nearly every moment."""
    config = small_config(budget=STEPS * 64, checkpoint_every_steps=1, keep_optimizer=True)
    train(config, small_sampler(config), tmp_path / "whole")
    out, chance = tmp_path / "killed", random.Random(3)
    code = WORKER.replace("checkpoint_every_steps=6", "checkpoint_every_steps=1")
    for _ in range(6):
        before = saved_steps(out / "checkpoints")
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(out), str(Path(__file__).parent), "-1"]
        )
        while process.poll() is None and saved_steps(out / "checkpoints") == before:
            time.sleep(0.001)
        time.sleep(chance.random() * 0.15)
        process.kill()
        process.wait()
    assert run_until_killed(out, -1) == 0
    assert losses_of(out) == losses_of(tmp_path / "whole")
    assert files_of(out) == files_of(tmp_path / "whole")
    assert not list(out.rglob(".aside-*"))


def test_leftovers_of_a_killed_write_are_not_read(tmp_path: Path) -> None:
    """A checkpoint half written when the process died has no step name, so it does not count."""
    config = small_config(checkpoint_every_steps=EVERY)
    half = tmp_path / "checkpoints" / ".aside-xyz"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(b"half")
    assert train(config, small_sampler(config), tmp_path).status == "finished"
    assert not list(tmp_path.rglob(".aside-*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_says_so(tmp_path: Path, number: signal.Signals) -> None:
    config = small_config(budget=STEPS * 64, keep_optimizer=True)
    before = signal.getsignal(number)

    def news(progress: TrainingProgress) -> None:
        if progress.step == 13:
            os.kill(os.getpid(), number)

    with pytest.raises(InterruptedRunError, match="saved after step 13 of 40") as caught:
        train(config, small_sampler(config), tmp_path / "cut", on_progress=news)
    assert caught.value.exit_status == 128 + number
    assert signal.getsignal(number) == before
    assert saved_steps(tmp_path / "cut" / "checkpoints") == [13]

    train(config, small_sampler(config), tmp_path / "cut")
    train(config, small_sampler(config), tmp_path / "whole")
    assert losses_of(tmp_path / "cut") == losses_of(tmp_path / "whole")
    assert files_of(tmp_path / "cut") == files_of(tmp_path / "whole")


@pytest.mark.parametrize("cut", [0, 1, 17])
def test_log_is_cut_to_the_checkpoint(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path, 0) as log:
        for step in range(1, 6):
            log.write({"step": step, "loss": 1 / step})
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"step": 6, "loss": 0.16666666'[: cut or None])
    with MetricsLog(path, 3) as log:
        log.write({"step": 4, "loss": 0.5})
    assert [(r["step"], r["loss"]) for r in read_metrics(path)] == [
        (1, 1.0),
        (2, 0.5),
        (3, 1 / 3),
        (4, 0.5),
    ]
