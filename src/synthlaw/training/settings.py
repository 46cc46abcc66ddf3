"""How runs are trained: the settings of `training:` in a study file and of `synthlaw train`.

`training.config.TrainingConfig` is these settings and what is one run's own. Imports no torch.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from synthlaw.common.settings import Count, Settings, WholeCount

COOLDOWN = 0.2
"""Share of a run's steps in which the rate falls, with schedule 'wsd', unless it is given."""


class TrainingSettings(Settings):
    """How runs are trained. Defaults are the paper's Table 2."""

    context: int = Field(4096, gt=0, description="positions that a sequence predicts")
    batch_tokens: WholeCount = Field(
        1 << 20, ge=1, description="tokens per optimizer step, a multiple of context"
    )
    learning_rate: float = Field(3e-4, gt=0, description="the peak rate")
    rate_width: int | None = Field(
        None,
        gt=0,
        description="the width that learning_rate is for; blocks of other widths take "
        "rate_width / width of it. Default: one rate for all sizes, as the paper has",
    )
    schedule: Literal["cosine", "wsd"] = Field(
        "cosine",
        description="of the learning rate; wsd: warm up, stay at the peak, fall at the end",
    )
    warmup: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="share of a run's steps; in a study with wsd, of the smallest budget's",
    )
    cooldown: float | None = Field(
        None,
        gt=0,
        le=1,
        description=f"wsd: the share of a run's steps in which the rate falls; default {COOLDOWN}",
    )
    min_lr_ratio: float = Field(1e-6, ge=0, le=1, description="the last rate, over the peak")
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW's decay of the first moment")
    beta2: float = Field(0.95, ge=0, lt=1, description="AdamW's decay of the second moment")
    epsilon: float = Field(1e-8, gt=0, description="AdamW's, beside the root of the second moment")
    weight_decay: float = Field(0.1, ge=0, description="AdamW's, per step times the rate")
    decay_on: Literal["all", "matrices"] = Field(
        "all", description="what decays: all as in Lingua, or matrices, which spares the norm gains"
    )
    clip: float = Field(1.0, gt=0, description="longest gradient, by its norm")
    document_masking: bool = Field(False, description="attention stays inside documents")
    dtype: Literal["auto", "bf16", "fp32"] = Field(
        "auto",
        description="of matrix products; auto: bf16 where the machine has instructions for it and "
        "is no slower with it, settled once and kept",
    )
    micro_batch: int = Field(
        0, ge=0, description="rows per forward pass of a process; 0: all its rows"
    )
    compile: bool = Field(False, description="torch.compile the blocks: worth it in long runs")
    recompute: bool = Field(
        False, description="keep fewer activations and compute them twice: less memory, more time"
    )
    shard_group: int = Field(
        0, ge=0, description="processes that share one copy of the model (HSDP); 0: all (FSDP)"
    )
    device: str = Field("auto", description="auto, cpu or cuda")
    peak_flops: Count | None = Field(
        None, description="FLOP per second of one device, for the log's mfu; default: measured"
    )
    track: tuple[Literal["tensorboard", "wandb"], ...] = Field(
        (), description="where a run's log is shown besides; each is an extra"
    )
    checkpoint_every_steps: int = Field(
        0, ge=0, description="steps between checkpoints; 0: by time alone"
    )
    checkpoint_every_seconds: float = Field(
        60.0, ge=0, description="seconds between checkpoints; 0: by steps alone"
    )
    keep_last: int = Field(1, ge=1, description="checkpoints kept of an unfinished run")
    keep_optimizer: bool = Field(
        False, description="keep the optimizer's moments beside the trained weights"
    )

    @model_validator(mode="after")
    def _warm_before_it_falls(self) -> Self:
        if self.schedule == "wsd" and self.warmup + (self.cooldown or COOLDOWN) > 1:
            raise ValueError(
                f"warmup {self.warmup:g} and cooldown {self.cooldown or COOLDOWN:g} are more than "
                "a whole run; expected at most 1 together"
            )
        if self.schedule == "cosine" and self.cooldown is not None:
            raise ValueError("cooldown: belongs to schedule 'wsd'; the cosine has none")
        return self

    @model_validator(mode="after")
    def _whole_rows(self) -> Self:
        if self.batch_tokens % self.context:
            near = max(1, round(self.batch_tokens / self.context)) * self.context
            raise ValueError(
                f"batch_tokens {self.batch_tokens} is not a multiple of context {self.context}, "
                f"such as {near}"
            )
        if self.micro_batch and self.rows % self.micro_batch:
            raise ValueError(
                f"micro_batch: found {self.micro_batch}; expected a divisor of the batch's "
                f"{self.rows} rows (batch_tokens / context)"
            )
        return self

    @property
    def rows(self) -> int:
        """Rows per optimizer step."""
        return self.batch_tokens // self.context
