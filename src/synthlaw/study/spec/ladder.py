"""The grid of runs, and what executes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from synthlaw.common.settings import Count, Name, Settings
from synthlaw.execute.base import DRIVER, ExecutorSettings, Patience
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


SlurmOptions = dict[str, str | int | bool | list[str] | None]

DATA = "data"
"""A kind of jobs beside the ladder's sizes and `DRIVER`: those that prepare data."""


class Resources(Settings):
    """What runs of one size have instead of what the others have, or the jobs of another kind."""

    gpus_per_run: int | None = Field(
        None, gt=0, description="GPUs on each machine of a run, a process each"
    )
    nodes: int = Field(1, gt=0, description="machines that train one run together, on Slurm")
    slurm: SlurmOptions = Field(
        default_factory=dict,
        description="options for sbatch beside those of execution.slurm; null takes one away",
    )


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
    slurm: SlurmOptions = Field(
        default_factory=dict, description="options for sbatch with --executor slurm"
    )
    resources: dict[Name, Resources] = Field(
        default_factory=dict,
        description="by size of the ladder, or `data` or `driver`: what its jobs have instead",
    )

    def world_of(self, size: str) -> tuple[int, int]:
        """Machines of a run of `size`, and the processes on each."""
        own = self.resources.get(size) or Resources()
        return own.nodes, own.gpus_per_run or self.gpus_per_run or 1

    def processes_of(self, size: str) -> int:
        """Processes that train a run of `size` together."""
        nodes, each = self.world_of(size)
        return nodes * each

    @property
    def asks_for_gpus(self) -> bool:
        """Whether any run is to have GPUs."""
        return bool(self.gpus_per_run or any(r.gpus_per_run for r in self.resources.values()))

    def of_runs(self, executor: str, root: Path) -> ExecutorSettings:
        """What the executor of the runs is made of. root: the study folder."""
        usual = ExecutorSettings(
            workers=self.workers,
            threads=self.threads,
            gpus=self.gpus_per_run,
            folder=root.absolute() / executor,
            options=self._options(executor, None),
            patience=Patience(self.attempts, self.interruptions),
        )
        kinds = {
            size: replace(
                usual,
                gpus=own.gpus_per_run or self.gpus_per_run,
                nodes=own.nodes,
                options=self._options(executor, own),
            )
            for size, own in self.resources.items()
            if size not in (DATA, DRIVER)
        }
        return replace(usual, kinds=kinds)

    def of_data(self, executor: str, root: Path) -> ExecutorSettings:
        """The same of the jobs that prepare data, and of a driver that is a job: one thread, and no
        GPU but what `resources` names."""
        usual = self.of_runs(executor, root)
        data, driver = (
            replace(
                usual,
                threads=1,
                gpus=own.gpus_per_run or 0,
                options=self._options(executor, own),
                kinds={},
            )
            for own in (self.resources.get(name) or Resources() for name in (DATA, DRIVER))
        )
        return replace(data, kinds={DRIVER: driver})

    def _options(self, executor: str, own: Resources | None) -> dict[str, Any]:
        """Options of an executor by its name; of Slurm's alone so far."""
        if executor != "slurm":
            return {}
        merged = {**self.slurm, **(own.slurm if own is not None else {})}
        return {name: value for name, value in merged.items() if value is not None}
