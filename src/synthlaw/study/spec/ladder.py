"""The grid of runs, and what executes them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from synthlaw.common.settings import Count, Name, Settings
from synthlaw.execute.base import Patience
from synthlaw.training.presets import PRESETS, ModelShape, preset

MATCHED = "matched"
"""Value of ladder.unique_tokens."""


class SizeSpec(Settings):
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


class PhaseSpec(Settings):
    """Other shares of a mixture after a part of the run's tokens, such as 0.8."""

    after: float = Field(gt=0, lt=1)
    shares: dict[str, float] = Field(min_length=1)


class Ladder(Settings):
    """The grid of runs: every mixture at every size, budget and seed.

    In a study of several `grids`, what these take where they name nothing of their own.
    """

    sizes: dict[Name, SizeSpec] = Field(
        default_factory=dict, description="presets by name, or shapes by a name of your own"
    )
    budgets: list[Count] = Field(default_factory=list, description="training tokens per run")
    seeds: list[int] = Field(
        default_factory=lambda: [0], min_length=1, description="each gives every run once"
    )
    max_epochs: float = Field(1.0, ge=1, description="how often a source may be read")
    unique_tokens: dict[Name, Count] | Literal["matched"] = Field(
        default_factory=dict,
        description="by source: read only so many of its tokens; matched: so many that every run "
        "repeats its sources as often as the run of `question` does, given its supply",
    )

    @field_validator("budgets", "seeds")
    @classmethod
    def _distinct(cls, value: list[Any]) -> list[Any]:
        if len(set(value)) != len(value):
            raise ValueError(f"found {value}; expected distinct values")
        return value

    @field_validator(
        "sizes", mode="before", json_schema_input_type=list[str] | dict[Name, SizeSpec]
    )
    @classmethod
    def _list_of_presets(cls, value: Any) -> Any:
        if isinstance(value, list):
            return {str(name): {"preset": str(name)} for name in value}
        return value


class Execution(Settings):
    """How many runs at once and with how many threads each; default by the machine's cores."""

    workers: int | None = Field(None, gt=0)
    threads: int = Field(1, gt=0)
    gpus_per_run: int | None = Field(
        None, gt=0, description="train every run on so many GPUs of one machine, a process each"
    )
    attempts: int = Field(
        3, gt=0, description="starts of a job whose worker dies before it counts as failed"
    )
    interruptions: int = Field(
        50, gt=0, description="times that an interrupted job which saved its state goes on"
    )
    slurm: dict[str, str | int | bool | list[str]] = Field(
        default_factory=dict, description="options for sbatch with --executor slurm"
    )

    @property
    def patience(self) -> Patience:
        """With jobs that are lost."""
        return Patience(self.attempts, self.interruptions)

    def options(self, executor: str) -> dict[str, Any]:
        """Options of an executor by its name; of Slurm's alone so far."""
        return dict(self.slurm) if executor == "slurm" else {}
