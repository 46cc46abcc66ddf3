"""The training loop: what a run leaves, what it refuses, what stops it."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from runs import PatternSampler, small_config, small_sampler

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.evaluation.scoring import score_documents
from synthlaw.evaluation.windows import Windowing
from synthlaw.training.checkpoint import load_model, saved_steps, step_folder
from synthlaw.training.loop import TrainingProgress, initial_model, train
from synthlaw.training.metrics import read_metrics


@pytest.mark.isa
def test_a_run_learns_and_leaves_its_artifacts(tmp_path: Path) -> None:
    config = small_config(budget=150 * 64)
    news: list[TrainingProgress] = []
    result = train(config, small_sampler(config), tmp_path, on_progress=news.append)

    assert (result.status, result.steps, result.tokens) == ("finished", 150, 9600)
    assert result.params == config.shape.params
    assert result.flops == pytest.approx(config.flops)
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, 151)) == [n.step for n in news]
    assert rows[0]["loss"] > math.log(64) - 0.1
    assert result.loss < 2.8  # knowing the pattern but not the noise is worth about 2.0
    assert not (tmp_path / "checkpoints").exists()

    held_out = list(small_sampler(config, seed=99).batch(0, 20))
    before, after = (
        score_documents(m, held_out, Windowing(16, 16, None))
        for m in (initial_model(config), load_model(result.model or tmp_path))
    )
    assert after.nll.sum() < 0.75 * before.nll.sum()


def test_a_finished_run_is_returned_without_training(tmp_path: Path) -> None:
    config = small_config()
    first = train(config, small_sampler(config), tmp_path)

    class Spent(PatternSampler):
        def batch(self, step: int, rows: int) -> np.ndarray:
            raise AssertionError("asked for data")

    again = train(config, Spent(64, 16), tmp_path)
    assert again == first


def test_another_run_in_the_folder_is_refused_by_name(tmp_path: Path) -> None:
    config = small_config()
    train(config, small_sampler(config), tmp_path)
    with pytest.raises(UsageError, match=r"another run \(learning_rate: found 0.01, now 0.02\)"):
        train(small_config(learning_rate=0.02), small_sampler(config), tmp_path)
    with pytest.raises(UsageError, match=r"another run \(sampler: found"):
        train(config, small_sampler(config, seed=1), tmp_path)
    # How a run is executed is not what it computes.
    train(small_config(micro_batch=1, checkpoint_every_steps=3), small_sampler(config), tmp_path)


@pytest.mark.isa
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_accumulation_equals_one_large_batch(tmp_path: Path, dtype: str) -> None:
    """Losses and weights to 1e-6 in fp32; in bf16 only products change with the rows, not at all
    or by a rounding."""
    tolerance = 1e-6 if dtype == "fp32" else 1e-2
    weights, losses = [], []
    for micro_batch in (0, 2, 1):
        # Plain gradients: Adam's first steps turn a gradient's rounding into its sign.
        config = small_config(
            micro_batch=micro_batch, dtype=dtype, epsilon=1e-2, budget=10 * 64, batch_tokens=64
        )
        out = tmp_path / str(micro_batch)
        train(config, small_sampler(config), out)
        losses.append([row["loss"] for row in read_metrics(out / "metrics.jsonl")])
        weights.append(torch.cat([p.flatten() for p in load_model(out / "model").parameters()]))
    for other in (1, 2):
        np.testing.assert_allclose(losses[other], losses[0], rtol=tolerance)
        assert (weights[other] - weights[0]).norm() <= tolerance * weights[0].norm()


@pytest.mark.parametrize(
    ("budget", "steps"), [(1, 1), (64, 1), (95, 1), (96, 2), (200, 3), (640, 10)]
)
def test_realised_tokens_are_whole_steps(budget: int, steps: int) -> None:
    config = small_config(budget=budget)
    assert (config.steps, config.tokens) == (steps, steps * 64)


def test_a_poisoned_weight_stops_before_the_update(tmp_path: Path) -> None:
    config = small_config(checkpoint_every_steps=4)

    class Poisoned(PatternSampler):
        """At step 10 writes NaN into a weight of the running model, as a bad chip would."""

        def batch(self, step: int, rows: int) -> np.ndarray:
            if step == 10:
                run = sys._getframe(2).f_locals["self"]
                with torch.no_grad():
                    run.model.layers[0].mlp.up_proj.weight[0, 0] = math.nan
            return super().batch(step, rows)

    result = train(config, Poisoned(64, 16), tmp_path)
    assert (result.status, result.steps, result.tokens) == ("diverged", 10, 640)
    assert result.model is None
    assert "step 11: found loss nan" in result.message
    assert saved_steps(tmp_path / "checkpoints") == [8]
    kept = load_model(step_folder(tmp_path / "checkpoints", 8))
    assert all(torch.isfinite(p).all() for p in kept.parameters())
    assert len(read_metrics(tmp_path / "metrics.jsonl")) == 10
    assert train(config, Poisoned(64, 16), tmp_path).status == "diverged"


def test_an_absurd_rate_is_recorded_as_diverged(tmp_path: Path) -> None:
    config = small_config(learning_rate=1e30, dtype="fp32")
    result = train(config, small_sampler(config), tmp_path)
    assert result.status == "diverged"
    assert result.steps < config.steps


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from runs import small_config, small_sampler
from synthlaw.training.loop import train
from synthlaw.common.errors import SynthlawError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
out = Path(sys.argv[1])
config = small_config(checkpoint_every_steps=5)
def news(progress):
    if progress.step == 7:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    train(config, small_sampler(config), out, on_progress=news)
except SynthlawError as error:
    print(error)
    sys.exit(error.exit_status)
"""


def test_a_disk_that_refuses_keeps_the_earlier_checkpoint(tmp_path: Path) -> None:
    """The process may write files of 10 kB at most from step 7 on; the checkpoint at 10 fails."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "could not write the checkpoint" in done.stdout
    assert "run again to resume" in done.stdout
    checkpoints = tmp_path / "checkpoints"
    assert [p.name for p in checkpoints.iterdir()] == ["step-00000005"]
    config = small_config(checkpoint_every_steps=5)
    assert train(config, small_sampler(config), tmp_path).status == "finished"


@pytest.mark.parametrize("harm", ["cut", "lost", "garbled"])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, harm: str) -> None:
    config = small_config(checkpoint_every_steps=4)

    def stop(progress: TrainingProgress) -> None:
        if progress.step == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, small_sampler(config), tmp_path, on_progress=stop)
    shard = tmp_path / "checkpoints/step-00000008/shard-00001-model-00002-of-00003.safetensors"
    data = shard.read_bytes()
    said = {
        "cut": f"model-00002-of-00003.safetensors has {len(data) - 5} bytes",
        "lost": "model-00002-of-00003.safetensors is missing",
        "garbled": "header",
    }
    if harm == "lost":
        shard.unlink()
    else:
        shard.write_bytes(data[:-5] if harm == "cut" else b"\xff" * len(data))
    with pytest.raises(SynthlawError, match=rf"step-00000008: .* cannot be read: .*{said[harm]}"):
        train(config, small_sampler(config), tmp_path)
    assert saved_steps(tmp_path / "checkpoints") == [8]


def test_bad_batches_are_named(tmp_path: Path) -> None:
    config = small_config()
    with pytest.raises(UsageError, match="token ids from 0 to 99; expected 0 to 63"):
        train(config, PatternSampler(100, 16), tmp_path / "a")
    with pytest.raises(SynthlawError, match=r"shape \(4, 9\); expected \(4, 17\)"):
        train(config, PatternSampler(64, 8), tmp_path / "b")


def test_configuration_mistakes_are_named() -> None:
    with pytest.raises(ValidationError, match="multiple of context 16, such as 96"):
        small_config(batch_tokens=100)
    with pytest.raises(ValidationError, match="divisor of the batch's 4 rows"):
        small_config(micro_batch=3)
    with pytest.raises(ValidationError, match="warmup_steps"):
        small_config(warmup_steps=10)
    with pytest.raises(UsageError, match="device: found 'warp'"):
        config = small_config(device="warp")
        train(config, small_sampler(config), Path("unused"))


def test_schedule_of_the_paper() -> None:
    schedule = small_config(budget=100 * 64, learning_rate=3e-4).learning_rates()
    rates = [schedule.rate(step) for step in range(100)]
    assert rates[10] == max(rates) == 3e-4
    np.testing.assert_allclose(np.diff(rates[:11]), 3e-4 / 11)
    assert rates[99] == pytest.approx(3e-10)
    half = 10 + (99 - 10) / 2
    assert schedule.rate(54) > 1.5e-4 > schedule.rate(55)
    assert half == 54.5
    assert all(np.diff(rates[10:]) < 0)
    assert small_config(budget=1).learning_rates().rate(0) == 1e-2


@pytest.mark.isa
@pytest.mark.slow
def test_compiled_run_agrees_with_eager(tmp_path: Path) -> None:
    losses = []
    for compiled in (False, True):
        config = small_config(compile=compiled, dtype="fp32", budget=5 * 64)
        out = tmp_path / str(compiled)
        train(config, small_sampler(config), out)
        losses.append([row["loss"] for row in read_metrics(out / "metrics.jsonl")])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


@pytest.mark.isa
def test_bf16_trains_to_nearly_the_same_loss(tmp_path: Path) -> None:
    results = []
    for dtype in ("fp32", "bf16"):
        config = small_config(dtype=dtype, budget=100 * 64)
        results.append(train(config, small_sampler(config), tmp_path / dtype).loss)
    assert results[1] == pytest.approx(results[0], rel=0.03)
