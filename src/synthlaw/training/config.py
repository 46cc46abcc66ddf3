"""The configuration of one training run: its settings, shape, budget and seed. Imports no torch."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from synthlaw.training.presets import ModelShape, training_flops
from synthlaw.training.schedule import CosineSchedule, Schedule, StableSchedule
from synthlaw.training.settings import COOLDOWN, TrainingSettings

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

_SCHEDULE = frozenset({"warmup", "cooldown", "warmup_steps"})


def steps_of(budget: float, batch_tokens: float) -> int:
    """Optimizer steps of a run: the whole number nearest to budget / batch_tokens, at least one.

    Halves are rounded up, so that a larger budget never takes fewer steps.
    """
    return max(1, math.floor(budget / batch_tokens + 0.5))


class TrainingConfig(TrainingSettings):
    """One run. Tokens are counted as predicted positions: a row of `context` + 1 gives `context`.

    shape: the model. budget: training tokens wanted; the run takes `steps` whole steps, the
    nearest number, and realises `tokens`. seed: of the weights. document_start: the token that
    begins a document (BOS), when attention must not look past it (`document_masking`); None lets
    it see the whole row. warmup_steps: with schedule wsd, steps of warm-up where they are not
    `warmup` of this run's own: runs that differ in budget and cooldown alone are one run until
    the first of them begins to fall. dtype: as it was settled. threads: CPU threads, 0 to leave
    torch's setting.
    """

    shape: ModelShape
    budget: int = Field(gt=0)
    seed: int = 0
    document_start: int | None = Field(None, ge=0)
    warmup_steps: int | None = Field(None, ge=0)
    dtype: Precision = "fp32"
    threads: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _check_plateau(self) -> Self:
        if self.schedule == "cosine" and self.warmup_steps is not None:
            raise ValueError("warmup_steps: belongs to schedule 'wsd'; the cosine has 'warmup'")
        if self.schedule == "wsd" and self.rising_steps > self.trunk_steps:
            raise ValueError(
                f"wsd: found {self.rising_steps} steps of warm-up; expected at most "
                f"{self.trunk_steps}, the steps before the cooldown of a run of {self.steps}"
            )
        return self

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
    def rising_steps(self) -> int:
        """Steps of warm-up before the plateau of schedule wsd."""
        return int(self.warmup * self.steps) if self.warmup_steps is None else self.warmup_steps

    @property
    def trunk_steps(self) -> int:
        """Steps before the cooldown, which runs of larger budgets share; 0 with the cosine."""
        if self.schedule == "cosine":
            return 0
        return self.steps - max(1, round((self.cooldown or COOLDOWN) * self.steps))

    def learning_rates(self) -> Schedule:
        """Learning rate by step: see training/schedule.py."""
        peak, last = self.learning_rate, self.min_lr_ratio
        if self.schedule == "cosine":
            return CosineSchedule(peak, self.steps, self.warmup, last)
        falling = self.steps - self.trunk_steps
        return StableSchedule(peak, self.steps, self.rising_steps, falling, last)

    def identity(self) -> dict[str, Any]:
        """What determines the trained weights up to rounding: all but the operational fields.

        Fields that are None stand for what is not used and are left out.
        """
        left_out = {*OPERATIONAL, *_SCHEDULE, "document_masking"}
        values = self.model_dump(mode="json", exclude=left_out, exclude_none=True)
        values |= (
            {"warmup": self.warmup}
            if self.schedule == "cosine"
            else {"warmup_steps": self.rising_steps, "cooldown": self.cooldown or COOLDOWN}
        )
        return {"training_version": TRAINING_VERSION, **values}


def trunk_identity(identity: dict[str, Any]) -> dict[str, Any]:
    """What determines a run before its cooldown: its identity without budget and cooldown."""
    return {name: value for name, value in identity.items() if name not in ("budget", "cooldown")}
