"""The grid of runs, how each is trained, and what executes them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from synthlaw.study.spec.fields import Count, Name, Part
from synthlaw.training.presets import PRESETS, ModelShape, preset


class SizeSpec(Part):
    """A model shape: `preset` by name, or `dim`, `layers` and `heads`."""

    preset: str | None = None
    dim: int | None = Field(None, gt=0)
    layers: int | None = Field(None, gt=0)
    heads: int | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _exists(self) -> SizeSpec:
        free = (self.dim, self.layers, self.heads)
        if self.preset is not None and free == (None, None, None):
            if self.preset not in PRESETS:
                raise ValueError(
                    f"found {self.preset!r}; expected one of {', '.join(PRESETS)}, "
                    "or a shape with dim, layers and heads"
                )
        elif self.preset is not None or None in free:
            raise ValueError("give 'preset', or all of 'dim', 'layers' and 'heads'")
        else:
            self.shape(260)
        return self

    @property
    def params(self) -> int:
        """Non-embedding parameters, which no tokenizer changes."""
        return self.shape(260).params

    def shape(self, vocab: int) -> ModelShape:
        """The shape with a vocabulary of `vocab` entries."""
        if self.preset is not None:
            return preset(self.preset, vocab)
        return ModelShape(dim=self.dim, layers=self.layers, heads=self.heads, vocab=vocab)


class PhaseSpec(Part):
    """Other shares of a mixture after a part of the run's tokens, such as 0.8."""

    after: float = Field(gt=0, lt=1)
    shares: dict[str, float] = Field(min_length=1)


class Ladder(Part):
    """The grid of runs: every mixture at every size, budget and seed."""

    sizes: dict[Name, SizeSpec] = Field(min_length=1)
    budgets: list[Count] = Field(min_length=1, description="training tokens per run")
    seeds: list[int] = Field(default_factory=lambda: [0], min_length=1)
    max_epochs: float = Field(1.0, ge=1)
    unique_tokens: dict[Name, Count] = Field(
        default_factory=dict, description="by source: read only so many of its tokens"
    )

    @field_validator("budgets", "seeds")
    @classmethod
    def _distinct(cls, value: list[Any]) -> list[Any]:
        if len(set(value)) != len(value):
            raise ValueError(f"found {value}; expected distinct values")
        return value

    @field_validator("sizes", mode="before")
    @classmethod
    def _list_of_presets(cls, value: Any) -> Any:
        if isinstance(value, list):
            return {str(name): {"preset": str(name)} for name in value}
        return value


class Training(Part):
    """How every run is trained. Defaults are the paper's Table 2."""

    context: int = Field(4096, gt=1)
    batch_tokens: Count = 1048576.0
    learning_rate: float = Field(3e-4, gt=0)
    rate_width: int | None = Field(
        None,
        gt=0,
        description="the width that learning_rate is for; blocks of other widths take "
        "rate_width / width of it. Default: one rate for all sizes, as the paper has",
    )
    schedule: Literal["cosine", "wsd"] = "cosine"
    warmup: float = Field(
        0.1, ge=0, lt=1, description="share of a run's steps; with wsd, of the smallest budget's"
    )
    cooldown: float = Field(
        0.2, gt=0, le=1, description="wsd: the share of a run's steps in which the rate falls"
    )
    min_lr_ratio: float = Field(1e-6, ge=0, le=1)
    weight_decay: float = Field(0.1, ge=0)
    clip: float = Field(1.0, gt=0)
    micro_batch: int = Field(0, ge=0, description="rows per forward pass; 0: the whole batch")
    dtype: Literal["auto", "bf16", "fp32"] = Field(
        "auto",
        description="of matrix products; auto: bf16 where the workers' machines have instructions "
        "for it and are no slower with it, settled once per study",
    )
    compile: bool = False
    recompute: bool = Field(
        False, description="keep fewer activations and compute them twice: less memory, more time"
    )
    document_masking: bool = Field(False, description="attention stays inside documents")
    track: list[Literal["tensorboard", "wandb"]] = Field(
        default_factory=list, description="where runs' logs are shown besides; each is an extra"
    )
    peak_flops: Count | None = Field(
        None, description="FLOP per second of one device, for mfu; default: measured"
    )

    @model_validator(mode="after")
    def _warm_before_it_falls(self) -> Training:
        if self.schedule == "wsd" and self.warmup + self.cooldown > 1:
            raise ValueError(
                f"warmup {self.warmup:g} and cooldown {self.cooldown:g} are more than a whole run; "
                "expected at most 1 together"
            )
        if self.schedule == "cosine" and "cooldown" in self.model_fields_set:
            raise ValueError("cooldown: belongs to schedule 'wsd'; the cosine has none")
        return self

    @model_validator(mode="after")
    def _whole_rows(self) -> Training:
        if self.batch_tokens % self.context:
            raise ValueError(
                f"batch_tokens {self.batch_tokens:g} is not a multiple of context {self.context}"
            )
        return self


class Execution(Part):
    """How many runs at once and with how many threads each; default by the machine's cores."""

    workers: int | None = Field(None, gt=0)
    threads: int = Field(1, gt=0)
    gpus_per_run: int | None = Field(
        None, gt=0, description="train every run on so many GPUs of one machine, a process each"
    )
    slurm: dict[str, str | int | bool | list[str]] = Field(
        default_factory=dict, description="options for sbatch with --executor slurm"
    )

    def options(self, executor: str) -> dict[str, Any]:
        """Options of an executor by its name; of Slurm's alone so far."""
        return dict(self.slurm) if executor == "slurm" else {}
