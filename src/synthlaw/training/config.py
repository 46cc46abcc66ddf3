"""The configuration of one training run: the paper's Table 2 as defaults. Imports no torch."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from synthlaw.training.presets import ModelShape, training_flops
from synthlaw.training.schedule import CosineSchedule, Schedule, StableSchedule

TRAINING_VERSION = 2
"""Raised when the same configuration would train to other weights; part of the identity."""

Precision = Literal["bf16", "fp32"]

OPERATIONAL = frozenset(
    {
        "micro_batch",
        "compile",
        "recompute",
        "shard_group",
        "device",
        "threads",
        "peak_flops",
        "track",
        "checkpoint_every_steps",
        "checkpoint_every_seconds",
        "keep_last",
        "keep_optimizer",
    }
)
"""Fields that say how a run is executed, not what it computes: results agree up to rounding."""


def steps_of(budget: float, batch_tokens: float) -> int:
    """Optimizer steps of a run: the whole number nearest to budget / batch_tokens, at least one.

    Halves are rounded up, so that a larger budget never takes fewer steps.
    """
    return max(1, math.floor(budget / batch_tokens + 0.5))


class StableDecay(BaseModel):
    """A warm-up–stable–decay schedule: `warmup_steps`, a plateau, and a last part that falls.

    cooldown: the falling share of the run's steps. Runs that differ in budget and cooldown alone
    are one run until the first of them begins to fall.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    warmup_steps: int = Field(ge=0)
    cooldown: float = Field(default=0.2, gt=0, le=1)


class TrainingConfig(BaseModel):
    """One run. Tokens are counted as predicted positions: a row of `context` + 1 gives `context`.

    shape: the model. context: positions per row. batch_tokens: tokens per optimizer step, a
    multiple of `context`. budget: training tokens wanted; the run takes `steps` whole steps, the
    nearest number, and realises `tokens`. micro_batch: rows per forward pass of one process, 0
    for all its rows at once. document_start: the token that begins a document (BOS), when
    attention must not look past it; None lets it see the whole row. warmup: share of steps, for
    the cosine, which is the schedule unless `wsd` is given. rate_width: give the blocks' matrices
    the rate times rate_width / dim; None gives all one rate. decay_on: 'all' as Lingua does, or
    'matrices' to spare the norm gains. dtype: of matrix products, over
    fp32 weights; `precision` settles which suits a machine. compile: torch.compile, worth it when
    a run lasts minutes.
    recompute: keep only what enters each block and compute the rest again in the backward pass, a
    third more work for a fraction of the activations' memory. shard_group: processes that share
    one copy of the model, 0 for all. threads: CPU threads, 0 to leave torch's setting.
    peak_flops: FLOP per second of one process's device, for the log's mfu; 0 measures it.
    track: where the log is shown besides, each an extra. A
    checkpoint is taken after whichever comes first of `checkpoint_every_steps` and
    `checkpoint_every_seconds` (0 turns either off).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: ModelShape
    context: int = Field(default=4096, gt=0)
    batch_tokens: int = Field(default=1 << 20, gt=0)
    budget: int = Field(gt=0)
    seed: int = 0
    document_start: int | None = Field(default=None, ge=0)

    peak_lr: float = Field(default=3e-4, gt=0)
    rate_width: int | None = Field(default=None, gt=0)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    min_lr_ratio: float = Field(default=1e-6, ge=0, le=1)
    wsd: StableDecay | None = None
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)
    decay_on: Literal["all", "matrices"] = "all"
    clip: float = Field(default=1.0, gt=0)
    dtype: Literal["bf16", "fp32"] = "fp32"

    micro_batch: int = Field(default=0, ge=0)
    compile: bool = False
    recompute: bool = False
    shard_group: int = Field(default=0, ge=0)
    device: str = "auto"
    threads: int = Field(default=0, ge=0)
    peak_flops: float = Field(default=0.0, ge=0)
    track: tuple[Literal["tensorboard", "wandb"], ...] = ()
    checkpoint_every_steps: int = Field(default=0, ge=0)
    checkpoint_every_seconds: float = Field(default=60.0, ge=0)
    keep_last: int = Field(default=1, ge=1)
    keep_optimizer: bool = True

    @model_validator(mode="after")
    def _check_batch(self) -> Self:
        if self.batch_tokens % self.context:
            near = max(1, round(self.batch_tokens / self.context)) * self.context
            raise ValueError(
                f"batch_tokens: found {self.batch_tokens}; expected a multiple of "
                f"context {self.context}, such as {near}"
            )
        if self.micro_batch and self.rows % self.micro_batch:
            raise ValueError(
                f"micro_batch: found {self.micro_batch}; expected a divisor of the batch's "
                f"{self.rows} rows (batch_tokens / context)"
            )
        return self

    @model_validator(mode="after")
    def _check_plateau(self) -> Self:
        if self.wsd is not None and self.wsd.warmup_steps > self.trunk_steps:
            raise ValueError(
                f"wsd: found {self.wsd.warmup_steps} steps of warm-up; expected at most "
                f"{self.trunk_steps}, the steps before the cooldown of a run of {self.steps}"
            )
        return self

    @property
    def rows(self) -> int:
        """Rows per optimizer step."""
        return self.batch_tokens // self.context

    @property
    def steps(self) -> int:
        """Optimizer steps, at least one: the whole number nearest to budget / batch_tokens."""
        return steps_of(self.budget, self.batch_tokens)

    @property
    def tokens(self) -> int:
        """Training tokens that the run really takes."""
        return self.steps * self.batch_tokens

    @property
    def flops(self) -> float:
        """FLOPs of the whole run: see `presets.flops_per_token`."""
        return training_flops(self.shape, self.tokens, self.context)

    @property
    def trunk_steps(self) -> int:
        """Steps before the cooldown, which runs of larger budgets share; 0 with the cosine."""
        if self.wsd is None:
            return 0
        return self.steps - max(1, round(self.wsd.cooldown * self.steps))

    @property
    def schedule(self) -> Schedule:
        """Learning rate by step."""
        if self.wsd is None:
            return CosineSchedule(self.peak_lr, self.steps, self.warmup, self.min_lr_ratio)
        falling = self.steps - self.trunk_steps
        return StableSchedule(
            self.peak_lr, self.steps, self.wsd.warmup_steps, falling, self.min_lr_ratio
        )

    def identity(self) -> dict[str, Any]:
        """What determines the trained weights up to rounding: all but the operational fields.

        Fields that are None stand for what is not used and are left out.
        """
        values = self.model_dump(mode="json", exclude=set(OPERATIONAL), exclude_none=True)
        return {"training_version": TRAINING_VERSION, **values}


def trunk_identity(identity: dict[str, Any]) -> dict[str, Any]:
    """What determines a run before its cooldown: its identity without budget and cooldown."""
    trunk = {name: value for name, value in identity.items() if name not in ("budget", "warmup")}
    trunk["wsd"] = {"warmup_steps": identity["wsd"]["warmup_steps"]}
    return trunk
