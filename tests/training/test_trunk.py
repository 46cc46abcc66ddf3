"""Warm-up–stable–decay: one trunk, and branches that are the runs they would be alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from runs import PatternSampler, small_config, small_sampler

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import UsageError
from synthlaw.training.loop import TrainingProgress, train, train_trunk
from synthlaw.training.metrics import read_metrics
from synthlaw.training.schedule import StableSchedule

WSD: dict[str, Any] = {"schedule": "wsd", "warmup_steps": 3, "cooldown": 0.25}


class Counting(PatternSampler):
    """Notes which steps were asked for."""

    def __init__(self, *arguments: int) -> None:
        super().__init__(*arguments)
        self.asked: list[int] = []

    def batch(self, step: int, rows: int) -> np.ndarray:
        self.asked.append(step)
        return super().batch(step, rows)


@given(
    steps=st.integers(2, 400),
    warmup=st.floats(0, 0.5),
    cooldown=st.floats(0.01, 0.5),
    more=st.integers(0, 400),
)
def test_the_plateau_does_not_depend_on_the_budget(
    steps: int, warmup: float, cooldown: float, more: int
) -> None:
    warmup_steps, falling = int(warmup * steps), max(1, round(cooldown * steps))
    short = StableSchedule(1.0, steps, warmup_steps, falling, 1e-6)
    long = StableSchedule(1.0, steps + more, warmup_steps, falling, 1e-6)
    rates = [short.rate(step) for step in range(steps)]
    trunk = steps - falling
    assert rates[:trunk] == [long.rate(step) for step in range(trunk)]
    assert all(np.diff(rates[:warmup_steps]) > 0)
    assert all(rate == 1.0 for rate in rates[warmup_steps:trunk])
    assert all(np.diff([1.0, *rates[trunk:]]) < 0)
    assert rates[-1] == pytest.approx(1e-6)


def test_branches_equal_runs_of_their_own(tmp_path: Path) -> None:
    """Budgets of 12, 20 and 40 steps from one trunk: every step of the trunk is taken once, and
    logs, weights and moments are those of separate runs, bit for bit."""
    configs = [
        small_config(budget=steps * 64, keep_optimizer=True, **WSD) for steps in (12, 20, 40)
    ]
    assert [config.trunk_steps for config in configs] == [9, 15, 30]
    sampler = Counting(64, 16)
    start = None
    for config in configs:
        place = tmp_path / f"trunk-{config.trunk_steps}"
        largest = configs[-1]
        state = train_trunk(largest, sampler, place, config.trunk_steps, start=start)
        assert (state.step, state.diverged) == (config.trunk_steps, False)
        start = place
    assert sampler.asked == list(range(30))

    for config in configs:
        alone, branch = tmp_path / f"alone-{config.steps}", tmp_path / f"branch-{config.steps}"
        sampler.asked.clear()
        start = tmp_path / f"trunk-{config.trunk_steps}"
        found = train(config, sampler, branch, start=start)
        assert sampler.asked == list(range(config.trunk_steps, config.steps))
        wanted = train(config, small_sampler(config), alone)
        assert (found.loss, found.steps) == (wanted.loss, wanted.steps)
        rows = [
            [(r["step"], r["loss"], r["lr"]) for r in read_metrics(out / "metrics.jsonl")]
            for out in (branch, alone)
        ]
        assert rows[0] == rows[1]
        for name in ("model.safetensors", "optimizer.safetensors"):
            assert file_digest(branch / "model" / name) == file_digest(alone / "model" / name)


def test_a_branch_may_begin_before_its_cooldown(tmp_path: Path) -> None:
    """The largest budget continues a trunk that ended earlier: how a budget is added later."""
    config = small_config(budget=40 * 64, **WSD)
    small = small_config(budget=12 * 64, **WSD | {"cooldown": 0.5})
    train_trunk(small, small_sampler(small), tmp_path / "trunk", 6)
    train(config, small_sampler(config), tmp_path / "branch", start=tmp_path / "trunk")
    train(config, small_sampler(config), tmp_path / "alone")
    model = "model/model.safetensors"
    assert file_digest(tmp_path / "branch" / model) == file_digest(tmp_path / "alone" / model)


def test_a_killed_trunk_and_branch_resume(tmp_path: Path) -> None:
    config = small_config(budget=40 * 64, **WSD, checkpoint_every_steps=4)

    def stop_at(step: int) -> None:
        def news(progress: TrainingProgress) -> None:
            if progress.step == step:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            if step <= 30:
                train_trunk(config, sampler, tmp_path / "trunk", 30, on_progress=news)
            else:
                start = tmp_path / "trunk"
                train(config, sampler, tmp_path / "branch", start=start, on_progress=news)

    sampler = Counting(64, 16)
    stop_at(18)
    train_trunk(config, sampler, tmp_path / "trunk", 30)
    assert sampler.asked == [*range(18), *range(16, 30)]
    sampler.asked.clear()
    stop_at(35)
    train(config, sampler, tmp_path / "branch", start=tmp_path / "trunk")
    assert sampler.asked == [*range(30, 35), *range(34, 40)]
    train(config, sampler, tmp_path / "alone")
    model = "model/model.safetensors"
    assert file_digest(tmp_path / "branch" / model) == file_digest(tmp_path / "alone" / model)


def test_another_trunk_is_refused(tmp_path: Path) -> None:
    config = small_config(budget=40 * 64, **WSD)
    train_trunk(config, small_sampler(config), tmp_path / "trunk", 30)
    other = small_config(budget=40 * 64, **WSD, learning_rate=0.5)
    with pytest.raises(UsageError, match=r"another run \(learning_rate: found 0.01, now 0.5\)"):
        train(other, small_sampler(other), tmp_path / "a", start=tmp_path / "trunk")
    short = small_config(budget=12 * 64, **WSD)
    with pytest.raises(UsageError, match="trunk of 30 steps; expected at most 9"):
        train(short, small_sampler(short), tmp_path / "b", start=tmp_path / "trunk")
    with pytest.raises(UsageError, match="found 31 steps; expected 1 to 30"):
        train_trunk(config, small_sampler(config), tmp_path / "c", 31)
    with pytest.raises(ValidationError, match="found 10 steps of warm-up; expected at most 9"):
        small_config(budget=12 * 64, **WSD | {"warmup_steps": 10})
