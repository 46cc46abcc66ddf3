"""One training run: from a configuration and a sampler to weights, a log and a result.

    sampler.batch(step) ─► micro-batches ─► loss, gradient ─► finite? ─► clip ─► AdamW ─► log
                                                                └► diverged, nothing is updated

The state of a run is its weights, its moments and one integer, the number of updates: the
sampler, the schedule and the initialisation are pure functions, and nothing draws random numbers
while training. A killed run resumes from its last checkpoint with the same bits.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from synthlaw.common.errors import UsageError
from synthlaw.common.files import ASIDE, write_json
from synthlaw.training.batches import BatchSampler, checked_batch
from synthlaw.training.checkpoint import (
    CheckpointState,
    keep_last,
    load_checkpoint,
    save_checkpoint,
    save_model,
    saved_steps,
    step_folder,
)
from synthlaw.training.config import TrainingConfig, trunk_identity
from synthlaw.training.device import autocast, cpu_threads
from synthlaw.training.interrupt import InterruptedRunError, stop_on_signal
from synthlaw.training.metrics import METRICS_FILE, MetricsLog
from synthlaw.training.model import Llama, initialise
from synthlaw.training.optimizer import build_optimizer, set_rate
from synthlaw.training.parallel import World, check_room, clip, joined_world, place
from synthlaw.training.presets import training_flops
from synthlaw.training.result import (
    MODEL_FOLDER,
    TrainingResult,
    check_same_run,
    finished_result,
    recent_loss,
    write_result,
)
from synthlaw.training.speed import Speedometer
from synthlaw.training.trackers import Tracker, open_trackers

CHECKPOINTS_FOLDER = "checkpoints"
SPEED_FILE = "speed.json"
"""What the log's `mfu` rests on: FLOP per token, the peak, and where that came from."""


@dataclass(frozen=True)
class TrainingProgress:
    """News after a step. loss: nats per token of the step's batch."""

    step: int
    steps: int
    tokens: int
    loss: float
    tokens_per_second: float


@dataclass(frozen=True)
class TrunkState:
    """Where a trunk stands. seconds: spent on all its steps. diverged: stopped before its end."""

    step: int
    seconds: float
    diverged: bool


def initial_model(config: TrainingConfig) -> Llama:
    """The untrained model that `train` starts from, on the CPU in fp32."""
    model = Llama(config.shape)
    initialise(model, config.seed)
    return model


def train(
    config: TrainingConfig,
    sampler: BatchSampler,
    out: Path,
    *,
    start: Path | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainingResult:
    """Train, or resume, or return the result of a run that `out` already holds.

    start: a folder that `train_trunk` left, at or before this run's cooldown: the run begins there
    and ends with the bits that it would have had from step 0.

    `out` gets metrics.jsonl, checkpoints/ while training, model/ (weights; moments too with
    `config.keep_optimizer`) and result.json. A run that diverges keeps its last checkpoint.
    Raises UsageError when `out` holds another run (it names what differs) or the device is not
    there; SynthlawError when the disk refuses a checkpoint; InterruptedRunError after a signal,
    once the state is saved.
    """
    identity = {"config": config.identity(), "sampler": sampler.identity()}
    with joined_world(config) as world, cpu_threads(config.threads):
        done = world.lead(lambda: finished_result(out, identity))
        if done is not None:
            return done
        run = _Run(config, sampler, out, identity, world)
        run.resume(start)
        return run.to_the_end(on_progress or (lambda progress: None))


def train_trunk(
    config: TrainingConfig,
    sampler: BatchSampler,
    out: Path,
    until: int,
    *,
    start: Path | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
) -> TrunkState:
    """Train the first `until` steps, which all budgets share, and leave their state in `out`.

    `out` gets metrics.jsonl and one checkpoint: what `train` and this function take as `start`.
    until: at most `config.trunk_steps`. Raises as `train` does.
    """
    if not 0 < until <= config.trunk_steps:
        raise UsageError(
            f"trunk: found {until} steps; expected 1 to {config.trunk_steps}, where the cooldown "
            "begins"
        )
    identity = _trunk_of({"config": config.identity(), "sampler": sampler.identity()})
    with joined_world(config) as world, cpu_threads(config.threads):
        run = _Run(config, sampler, out, identity, world)
        run.resume(start)
        return run.to_step(until, on_progress or (lambda progress: None))


def _trunk_of(identity: dict[str, Any]) -> dict[str, Any]:
    """What determines the run before its cooldown, tokens included."""
    return {**identity, "config": trunk_identity(identity["config"])}


class _Run:
    """The mutable state of one run in progress."""

    def __init__(
        self,
        config: TrainingConfig,
        sampler: BatchSampler,
        out: Path,
        identity: dict[str, Any],
        world: World,
    ) -> None:
        self.config, self.sampler, self.out, self.identity = config, sampler, out, identity
        self.world = world
        self.checkpoints = out / CHECKPOINTS_FOLDER
        check_room(config, world)
        self.model = initial_model(config)
        place(self.model, world, config)
        self.optimizer = build_optimizer(self.model, config)
        self.step = 0
        self.seconds = 0.0
        self.trackers: list[Tracker] = []
        self.speed = Speedometer(config, world.device.type, world.size)

    def resume(self, start: Path | None) -> None:
        """Continue from the newest checkpoint, else from the trunk's state in `start`, if any.

        Clears what a kill left half written.
        """
        last = self.world.lead(lambda: _last_step(self.out, self.checkpoints))
        if last is not None:
            folder = step_folder(self.checkpoints, last)
            state = load_checkpoint(folder, self.model, self.optimizer, self.world)
            check_same_run(state.identity, self.identity, self.out)
        elif start is not None:
            state = self.branch(start)
        else:
            return
        self.step, self.seconds = state.step, state.seconds

    def branch(self, start: Path) -> CheckpointState:
        """Take over the state and the log of a trunk."""
        world, trunk = self.world, start / CHECKPOINTS_FOLDER
        last = world.lead(lambda: saved_steps(trunk)[-1])
        state = load_checkpoint(step_folder(trunk, last), self.model, self.optimizer, world)
        check_same_run(_trunk_of(state.identity), _trunk_of(self.identity), start)
        if state.step > self.config.trunk_steps:
            raise UsageError(
                f"{start}: holds a trunk of {state.step} steps; expected at most "
                f"{self.config.trunk_steps}, where this run's cooldown begins"
            )
        world.lead(lambda: shutil.copyfile(start / METRICS_FILE, self.out / METRICS_FILE))
        return state

    def saved_step(self) -> int | None:
        """The step of the newest checkpoint."""
        steps = self.world.lead(lambda: saved_steps(self.checkpoints))
        return steps[-1] if steps else None

    def to_the_end(self, on_progress: Callable[[TrainingProgress], None]) -> TrainingResult:
        """Take the remaining steps and write the result."""
        return self.take_steps(self.config.steps, on_progress) or self.finished()

    def to_step(self, until: int, on_progress: Callable[[TrainingProgress], None]) -> TrunkState:
        """Take the steps up to `until` and save, unless the run diverges before."""
        diverged = self.take_steps(until, on_progress) is not None
        if not diverged and self.saved_step() != until:
            self.checkpoint()
        return TrunkState(self.step, self.seconds, diverged)

    def take_steps(
        self, until: int, on_progress: Callable[[TrainingProgress], None]
    ) -> TrainingResult | None:
        """Take the steps up to `until`, saving on the way; the result if the run diverges."""
        config, world = self.config, self.world
        saved_at = (self.step, time.monotonic())
        log: MetricsLog | None = None
        with stop_on_signal() as stop, ExitStack() as stack:
            if world.leads:
                log = stack.enter_context(MetricsLog(self.out / METRICS_FILE, self.step))
                write_json(self.out / SPEED_FILE, self.speed.facts())
                facts = {**self.identity["config"], **self.speed.facts()}
                self.trackers = open_trackers(config.track, self.out, self.step, facts)
                for tracker in self.trackers:
                    stack.callback(tracker.close)
            while self.step < until:
                started = time.monotonic()
                rate = config.learning_rates().rate(self.step)
                loss, norm = self.update(rate)
                if not (math.isfinite(loss) and math.isfinite(norm)):
                    return self.diverged(loss, norm)
                seconds = time.monotonic() - started
                self.step += 1
                self.seconds += seconds
                if log is not None:
                    self.report(log, on_progress, seconds, loss, norm, rate)
                stopping, due = world.any(stop.came, self.checkpoint_is_due(*saved_at))
                if self.step < until and (stopping or due):
                    if log is not None:
                        log.sync()
                    self.checkpoint()
                    saved_at = (self.step, time.monotonic())
                    if stopping:
                        raise InterruptedRunError(
                            f"{self.out}: stopped by {stop.signal.name} and saved after step "
                            f"{self.step} of {config.steps}; run again to resume",
                            stop.signal,
                        )
            if log is not None:
                log.sync()
        return None

    def report(
        self,
        log: MetricsLog,
        on_progress: Callable[[TrainingProgress], None],
        seconds: float,
        loss: float,
        norm: float,
        rate: float,
    ) -> None:
        """Log the step just taken, and tell of it."""
        config, tokens = self.config, self.step * self.config.batch_tokens
        row = {"step": self.step, "tokens": tokens, "loss": loss, "grad_norm": norm, "lr": rate}
        figures = self.speed.figures(seconds)
        log.write({**row, **figures})
        for tracker in self.trackers:
            tracker.log({**row, **figures})
        speed = figures["tokens_per_second"]
        on_progress(TrainingProgress(self.step, config.steps, tokens, loss, speed))

    def update(self, rate: float) -> tuple[float, float]:
        """One optimizer step: (loss in nats per token, gradient norm before clipping).

        When either is not finite nothing was updated.
        """
        config, world = self.config, self.world
        rows = world.share(checked_batch(self.sampler, self.step, config))
        self.optimizer.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=world.device)
        for part in torch.split(rows, config.micro_batch or len(rows)):
            with autocast(world.device, config.dtype):
                share = self.model(part[:, :-1], part[:, 1:], config.document_start)
                share = share / config.batch_tokens
            # Gradients are averaged over the world's processes; their sum is wanted.
            torch.autograd.backward(share * world.size)
            loss += share.detach()
        values = float(world.sum(loss)), clip(self.model, config.clip)
        if all(map(math.isfinite, values)):
            set_rate(self.optimizer, rate)
            self.optimizer.step()
        return values

    def checkpoint_is_due(self, step: int, moment: float) -> bool:
        """Whether enough happened since the checkpoint at `step`, taken at `moment`."""
        config = self.config
        by_step = config.checkpoint_every_steps
        by_time = config.checkpoint_every_seconds
        return bool(
            (by_step and self.step - step >= by_step)
            or (by_time and time.monotonic() - moment >= by_time)
        )

    def checkpoint(self) -> None:
        """Save everything a resumed run needs, then drop older checkpoints."""
        folder = step_folder(self.checkpoints, self.step)
        save_checkpoint(folder, self.model, self.state(), self.optimizer, self.world)
        self.world.lead(lambda: keep_last(self.checkpoints, self.config.keep_last))

    def state(self) -> CheckpointState:
        """Where the run stands now."""
        tokens = self.step * self.config.batch_tokens
        return CheckpointState(self.step, tokens, self.seconds, self.identity)

    def finished(self) -> TrainingResult:
        """Write the weights, then the result, then drop the checkpoints."""
        kept = self.optimizer if self.config.keep_optimizer else None
        save_model(self.out / MODEL_FOLDER, self.model, self.state(), self.world, kept)
        result = self.world.lead(lambda: self.result("finished", f"{self.step} steps"))
        if self.world.leads:
            shutil.rmtree(self.checkpoints, ignore_errors=True)
        return result

    def diverged(self, loss: float, norm: float) -> TrainingResult:
        """Record a run that stopped before an update that would have ruined its weights."""
        saved = saved_steps(self.checkpoints)
        kept = f"the checkpoint after step {saved[-1]} is kept" if saved else "no checkpoint yet"
        message = (
            f"step {self.step + 1}: found loss {loss} and gradient norm {norm}, not both finite; "
            f"stopped before the update ({kept})"
        )
        return self.world.lead(lambda: self.result("diverged", message))

    def result(self, status: Literal["finished", "diverged"], message: str) -> TrainingResult:
        """The result as it stands, written to the run's folder."""
        shape, tokens = self.config.shape, self.step * self.config.batch_tokens
        result = TrainingResult(
            status=status,
            steps=self.step,
            tokens=tokens,
            params=shape.params,
            params_total=shape.params_total,
            flops=training_flops(shape, tokens, self.config.context),
            loss=recent_loss(self.out / METRICS_FILE),
            seconds=self.seconds,
            message=message,
            model=self.out / MODEL_FOLDER if status == "finished" else None,
        )
        write_result(result, self.out, self.identity)
        return result


def _last_step(out: Path, checkpoints: Path) -> int | None:
    """The newest checkpoint's step; removes what a killed process was writing in `out`."""
    for leftover in [*out.glob(f"{ASIDE}*"), *checkpoints.glob(f"{ASIDE}*")]:
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()
    out.mkdir(parents=True, exist_ok=True)
    steps = saved_steps(checkpoints)
    return steps[-1] if steps else None
