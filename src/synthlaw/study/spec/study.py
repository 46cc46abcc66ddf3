"""The whole study file: its parts, and what must hold between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from synthlaw.common.errors import UsageError
from synthlaw.common.settings import Name, Settings
from synthlaw.execute.base import DRIVER
from synthlaw.study.spec.answer import Evaluation, Laws, Question
from synthlaw.study.spec.generation import Generate
from synthlaw.study.spec.grids import NATURAL, Grid, GridSpec, resolved, shapes, with_rules
from synthlaw.study.spec.ladder import DATA, MATCHED, Execution, Ladder, PhaseSpec, SizeSpec
from synthlaw.study.spec.rounds import RoundsSpec, with_rounds
from synthlaw.study.spec.text import Corpus, TextSource, TokenizerSpec
from synthlaw.study.spec.trainer import TrainerSpec
from synthlaw.tokens.shares import exact_shares
from synthlaw.training.config import steps_of
from synthlaw.training.gpus import PlanSettings
from synthlaw.training.settings import TrainingSettings


class Study(Settings):
    """One study file."""

    name: Name = "study"
    seed: int = 0
    natural: list[TextSource] = Field(min_length=1)
    corpus: Corpus = Field(default_factory=Corpus)
    generate: Generate = Field(default_factory=Generate)
    sources: dict[Name, TextSource] = Field(
        default_factory=dict, description="text made elsewhere that mixtures may name"
    )
    tokenizer: TokenizerSpec = Field(default_factory=TokenizerSpec)
    mixtures: dict[Name, dict[str, float]] = Field(min_length=1)
    phases: dict[Name, list[PhaseSpec]] = Field(
        default_factory=dict, description="by mixture: shares that change during training"
    )
    baseline: str | None = Field(None, description="mixture to compare with; default: the natural")
    ladder: Ladder = Field(default_factory=Ladder)
    grids: dict[Name, GridSpec] = Field(
        default_factory=dict, description="several products of runs in place of the one ladder"
    )
    rounds: RoundsSpec | None = Field(
        None, description="models that learn from models: short for generators, mixtures, a grid"
    )
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    trainer: TrainerSpec | None = Field(
        None, description="a command that trains the runs in the place of our own trainer"
    )
    evaluation: Evaluation = Field(default_factory=Evaluation)
    laws: Laws = Field(default_factory=Laws)
    question: Question = Field(default_factory=Question)
    execution: Execution = Field(default_factory=Execution)
    plan: PlanSettings = Field(default_factory=PlanSettings)

    @field_validator("natural", mode="before", json_schema_input_type=TextSource | list[TextSource])
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value

    @model_validator(mode="before")
    @classmethod
    def _rules(cls, value: Any) -> Any:
        return with_rules(with_rounds(value))

    @field_validator("mixtures", mode="after")
    @classmethod
    def _exact(cls, value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        for name, shares in value.items():
            try:
                exact_shares(shares)
            except UsageError as error:
                raise ValueError(f"mixture {name!r}: {error}") from error
        return value

    @model_validator(mode="after")
    def _grids_are_whole(self) -> Study:
        self.all_grids()
        return self

    @model_validator(mode="after")
    def _phases_follow(self) -> Study:
        if self.phases and self.training.schedule == "wsd":
            raise ValueError(
                "phases: begin at a part of each run, and with training.schedule 'wsd' runs of "
                "all budgets share their steps; use 'cosine'"
            )
        for name, phases in self.phases.items():
            if name not in self.mixtures:
                raise ValueError(
                    f"phases.{name}: mixture {name!r} does not exist; "
                    f"expected one of {', '.join(self.mixtures)}"
                )
            after = [phase.after for phase in phases]
            if after != sorted(set(after)):
                raise ValueError(f"phases.{name}: found 'after' {after}; expected rising numbers")
            for phase in phases:
                try:
                    exact_shares(phase.shares)
                except UsageError as error:
                    raise ValueError(f"phases.{name}: {error}") from error
        return self

    @model_validator(mode="after")
    def _repetition_can_be_matched(self) -> Study:
        if self.ladder.unique_tokens != MATCHED:
            return self
        if self.training.schedule == "wsd":
            raise ValueError(
                "ladder.unique_tokens: 'matched' gives every budget text of its own, and with "
                "training.schedule 'wsd' budgets share their steps; use 'cosine'"
            )
        if not self.question.supply:
            raise ValueError(
                "ladder.unique_tokens: found 'matched' without question.supply; expected the "
                "tokens at hand of the sources that the run asked about repeats"
            )
        return self

    @model_validator(mode="after")
    def _resources_are_of_sizes(self) -> Study:
        known = [*self.sizes, DATA, DRIVER]
        for name in self.execution.resources:
            if name not in known:
                raise ValueError(
                    f"execution.resources: found {name!r}; expected a size of the ladder, "
                    f"{DATA!r} or {DRIVER!r}: one of {', '.join(known)}"
                )
        return self

    @model_validator(mode="after")
    def _trainer_fits(self) -> Study:
        if self.trainer is None:
            return self
        if self.training.schedule == "wsd":
            raise ValueError(
                "trainer: with training.schedule 'wsd' budgets share a trunk that only our own "
                "trainer grows; use 'cosine'"
            )
        return self

    @model_validator(mode="after")
    def _natural_is_taken(self) -> Study:
        for place, names in (
            ("generate.recipes", self.generate.recipes),
            ("sources", self.sources),
            ("evaluation.domains", self.evaluation.domains),
        ):
            if NATURAL in names:
                raise ValueError(
                    f"{place}.{NATURAL}: the name is taken by the natural text; choose another"
                )
        for name in self.sources:
            if name in self.generate.recipes:
                raise ValueError(f"sources.{name}: a recipe has that name; choose another")
        return self

    @model_validator(mode="after")
    def _budgets_differ(self) -> Study:
        steps = [self.steps(budget) for budget in self.budgets]
        if len(set(steps)) < len(steps):
            raise ValueError(
                f"ladder.budgets: {', '.join(f'{b:g}' for b in self.budgets)} tokens are "
                f"{', '.join(map(str, steps))} steps of training.batch_tokens "
                f"{self.training.batch_tokens}; expected budgets that differ by a step"
            )
        return self

    @model_validator(mode="after")
    def _sources_exist(self) -> Study:
        known = [NATURAL, *self.generate.recipes, *self.sources]
        named = [(f"mixtures.{name}", shares) for name, shares in self.mixtures.items()]
        named += [
            (f"phases.{name}", phase.shares)
            for name, phases in self.phases.items()
            for phase in phases
        ]
        if not isinstance(self.ladder.unique_tokens, str):
            named.append(("ladder.unique_tokens", self.ladder.unique_tokens))
        named.append(("question.supply", self.question.supply))
        for place, shares in named:
            for source in shares:
                if source not in known:
                    raise ValueError(
                        f"{place}: source {source!r} does not exist; "
                        f"expected one of {', '.join(known)}"
                    )
        if self.baseline is not None and self.baseline not in self.mixtures:
            raise ValueError(
                f"baseline: mixture {self.baseline!r} does not exist; "
                f"expected one of {', '.join(self.mixtures)}"
            )
        for budget in self.budgets:
            if budget < self.training.batch_tokens:
                raise ValueError(
                    f"ladder.budgets: {budget:g} tokens is less than one batch "
                    f"(training.batch_tokens {self.training.batch_tokens})"
                )
        return self

    def all_grids(self) -> list[Grid]:
        """The grids in the file's order; the ladder as the one grid where there is no other."""
        return resolved(self.grids, self.ladder, self.mixtures)

    def sources_of(self, mixture: str) -> list[str]:
        """Sources that a mixture reads in any of its phases."""
        parts = [self.mixtures[mixture], *(p.shares for p in self.phases.get(mixture, []))]
        return list(dict.fromkeys(name for part in parts for name, share in part.items() if share))

    @property
    def sizes(self) -> dict[str, SizeSpec]:
        """Every model size that a grid names."""
        return shapes(self.ladder, self.all_grids())

    @property
    def budgets(self) -> list[float]:
        """Every budget that a grid names, in the file's order."""
        return list(dict.fromkeys(b for grid in self.all_grids() for b in grid.budgets))

    @property
    def seeds(self) -> list[int]:
        """Every seed that a grid names."""
        return list(dict.fromkeys(seed for grid in self.all_grids() for seed in grid.seeds))

    def baseline_name(self) -> str:
        """The mixture that others are compared with: `baseline`, the natural one, or the first."""
        if self.baseline is not None:
            return self.baseline
        for name, shares in self.mixtures.items():
            if shares.get(NATURAL) == 1.0:
                return name
        return next(iter(self.mixtures))

    def steps(self, budget: float) -> int:
        """Optimizer steps of a run of `budget` tokens."""
        return steps_of(round(budget), self.training.batch_tokens)

    def place(self, path: str, base: Path) -> Path:
        """A path of the study file, taken from the file's own folder."""
        found = Path(path).expanduser()
        return found if found.is_absolute() else base / found
