"""One run on several processes (gloo on the CPU): the losses of one process, whatever is killed."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import small_config, small_sampler

from synthlaw.common.errors import SynthlawError
from synthlaw.training.checkpoint import load_model, saved_steps
from synthlaw.training.interrupt import InterruptedRunError
from synthlaw.training.launch import run_processes
from synthlaw.training.loop import TrainingProgress, train
from synthlaw.training.metrics import read_metrics
from synthlaw.training.presets import ModelShape

STEPS = 100

RANK = """
import json, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_parallel import config_of, small_sampler
from synthlaw.common.errors import SynthlawError
from synthlaw.training.launch import ending_at_once, record_error
from synthlaw.training.loop import train
out, changes = Path(sys.argv[2]), json.loads(sys.argv[3])
last, number, victim = map(int, sys.argv[4:])
config = config_of(**changes)
class Deadly(type(small_sampler(config))):
    def batch(self, step, rows):
        if step == last and int(os.environ["RANK"]) == victim:
            os.kill(os.getpid(), number)
        return super().batch(step, rows)
with ending_at_once():
    try:
        train(config, Deadly(config.shape.vocab, config.context), out)
    except SynthlawError as error:
        record_error(error)
        sys.exit(error.exit_status)
"""


def config_of(**changes: Any) -> Any:
    """Weights whose rows no number of processes divides evenly, and a hundred steps."""
    values: dict[str, Any] = {
        "shape": ModelShape(dim=36, layers=2, heads=2, vocab=101, hidden=50),
        "batch_tokens": 16 * 8,
        "budget": STEPS * 16 * 8,
        "dtype": "fp32",
        "learning_rate": 3e-3,
        "checkpoint_every_steps": 30,
    }
    return small_config(**{**values, **changes})


def run_on(count: int, out: Path, *kill: int, **changes: Any) -> None:
    """Train on `count` processes. kill: (step, signal, rank) of one that gets a signal."""
    code = [sys.executable, "-c", RANK, str(Path(__file__).parent), str(out)]
    run_processes(count, [*code, json.dumps(changes), *map(str, kill or (-1, 0, 0))])


def losses_of(out: Path) -> list[float]:
    rows = read_metrics(out / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    return [row["loss"] for row in rows]


def weights_of(out: Path) -> torch.Tensor:
    return torch.cat([p.flatten() for p in load_model(out / "model").parameters()]).detach()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run on one process."""
    out = tmp_path_factory.mktemp("alone")
    config = config_of()
    train(config, small_sampler(config), out)
    return out


def check_equal(out: Path, alone: Path) -> None:
    """Losses within 1e-4 of one process over all steps; they share the data, order included."""
    np.testing.assert_allclose(losses_of(out), losses_of(alone), rtol=0, atol=1e-4)
    gap = (weights_of(out) - weights_of(alone)).norm() / weights_of(alone).norm()
    assert gap < 1e-3


def test_killed_on_two_and_resumed_on_one(tmp_path: Path, alone: Path) -> None:
    """The second process is killed with -9; one process goes on from both processes' slices."""
    with pytest.raises(SynthlawError, match="process 1 was killed by SIGKILL"):
        run_on(2, tmp_path, 70, signal.SIGKILL, 1)
    assert saved_steps(tmp_path / "checkpoints") == [60]
    names = {p.name for p in (tmp_path / "checkpoints/step-00000060").glob("*.safetensors")}
    assert {
        f"shard-0000{r}-model-0000{k}-of-00003.safetensors" for r in (1, 2) for k in (1, 2, 3)
    } == names
    config = config_of()
    assert train(config, small_sampler(config), tmp_path).status == "finished"
    check_equal(tmp_path, alone)


def test_stopped_on_one_then_on_four_in_two_copies(tmp_path: Path, alone: Path) -> None:
    """SIGTERM on one process; on four (HSDP, recomputed activations, small passes), where one
    process's SIGTERM stops all after the same step; then to the end on one."""
    config = config_of()

    def news(progress: TrainingProgress) -> None:
        if progress.step == 17:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(InterruptedRunError, match="after step 17"):
        train(config, small_sampler(config), tmp_path, on_progress=news)
    with pytest.raises(InterruptedRunError, match="saved after step 51 of 100"):
        run_on(4, tmp_path, 50, signal.SIGTERM, 3, shard_group=2, recompute=True, micro_batch=1)
    assert saved_steps(tmp_path / "checkpoints") == [51]
    train(config, small_sampler(config), tmp_path)
    check_equal(tmp_path, alone)
    assert not list(tmp_path.rglob(".aside-*"))
