"""The study file as validated data. Every key is checked; unknown keys are errors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import parse_count
from synthlaw.tokens.shares import exact_shares
from synthlaw.training.presets import PRESETS, ModelShape, preset

NATURAL = "natural"


def _count(value: Any) -> float:
    try:
        return parse_count(value)
    except (UsageError, TypeError) as error:
        raise ValueError(f"found {value!r}; expected a count such as 7B, 50k or 1.5e12") from error


Count = Annotated[float, BeforeValidator(_count)]
"""A positive count, written 7B, 50k, 1.5e12 or plainly."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$")]
"""A name that is safe as part of a file name."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TextSource(_Part):
    """Where documents come from: `path` (file, folder or pattern) or an `embedded` text."""

    path: str | None = None
    embedded: str | None = None
    documents: int | None = Field(None, gt=0, description="read at most so many, chosen by seed")

    @model_validator(mode="after")
    def _one_place(self) -> TextSource:
        if (self.path is None) == (self.embedded is None):
            raise ValueError("give exactly one of 'path' and 'embedded'")
        return self


class Corpus(_Part):
    """How natural documents are made ready."""

    max_words: int = Field(
        0, ge=0, description="cut longer documents to pieces; 0 keeps them whole"
    )
    held_out: float = Field(0.05, ge=0, lt=1, description="share set aside for evaluation")


class Sampling(_Part):
    """How the generator samples. Defaults are the paper's (A.1.2)."""

    temperature: float = Field(0.7, ge=0, le=2)
    top_p: float = Field(0.95, gt=0, le=1)
    top_k: int = Field(0, ge=0)
    repetition_penalty: float = Field(1.0, gt=0)


class EngineSpec(_Part):
    """The generator: the embedded model, or any OpenAI-compatible server by URL."""

    kind: Literal["embedded", "openai"] = "embedded"
    base_url: list[str] = Field(default_factory=list)
    model: str | None = None
    tokenizer: str | None = Field(None, description="tokenizer.json that counts for the server")
    concurrency: int = Field(64, gt=0)

    @field_validator("base_url", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _complete(self) -> EngineSpec:
        if self.kind == "openai" and (not self.base_url or self.model is None):
            raise ValueError("kind 'openai' needs 'base_url' and 'model'")
        return self


class RecipeUse(_Part):
    """How one recipe is used: source documents (default: as many as the budgets need)."""

    recipe: str | None = Field(None, description="name or YAML file; default: the key itself")
    documents: int | None = Field(None, gt=0)
    chapters: int | None = Field(None, gt=0, le=50, description="textbooks: chapters per book")
    max_tokens: int = Field(1024, gt=0, description="longest completion, generator's tokens")
    without_filters: list[str] = Field(default_factory=list)


class Generate(_Part):
    """The synthetic half."""

    engine: EngineSpec = Field(default_factory=EngineSpec)
    sampling: Sampling = Field(default_factory=Sampling)
    input_tokens: int = Field(2000, gt=0, description="documents are cut to so many tokens")
    shard_documents: int = Field(64, gt=0, description="source documents per shard")
    max_failed: float = Field(
        0.02, ge=0, le=1, description="share of a shard's documents that may fail for good"
    )
    recipes: dict[Name, RecipeUse] = Field(default_factory=dict)

    @field_validator("recipes", mode="before")
    @classmethod
    def _list_of_names(cls, value: Any) -> Any:
        if isinstance(value, list):
            return {str(name): {} for name in value}
        if isinstance(value, dict):
            return {name: use or {} for name, use in value.items()}
        return value


class TokenizerSpec(_Part):
    """A BPE of `vocab` entries trained on the natural text, or a `tokenizer.json` by `path`."""

    vocab: int = Field(4096, ge=260)
    path: str | None = None

    @model_validator(mode="after")
    def _one(self) -> TokenizerSpec:
        if {"vocab", "path"} <= self.model_fields_set:
            raise ValueError("give 'vocab' or 'path', not both")
        return self


class SizeSpec(_Part):
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

    def shape(self, vocab: int) -> ModelShape:
        """The shape with a vocabulary of `vocab` entries."""
        if self.preset is not None:
            return preset(self.preset, vocab)
        return ModelShape(dim=self.dim, layers=self.layers, heads=self.heads, vocab=vocab)


class Ladder(_Part):
    """The grid of runs: every mixture at every size, budget and seed."""

    sizes: dict[Name, SizeSpec] = Field(min_length=1)
    budgets: list[Count] = Field(min_length=1, description="training tokens per run")
    seeds: list[int] = Field(default_factory=lambda: [0], min_length=1)
    max_epochs: float = Field(1.0, ge=1)

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


class Training(_Part):
    """How every run is trained. Defaults are the paper's Table 2."""

    context: int = Field(4096, gt=1)
    batch_tokens: Count = 1048576.0
    learning_rate: float = Field(3e-4, gt=0)
    warmup: float = Field(0.1, ge=0, lt=1)
    min_lr_ratio: float = Field(1e-6, ge=0, le=1)
    weight_decay: float = Field(0.1, ge=0)
    clip: float = Field(1.0, gt=0)
    micro_batch: int = Field(0, ge=0, description="rows per forward pass; 0: the whole batch")
    dtype: Literal["bf16", "fp32"] = "bf16"
    compile: bool = False

    @model_validator(mode="after")
    def _whole_rows(self) -> Training:
        if self.batch_tokens % self.context:
            raise ValueError(
                f"batch_tokens {self.batch_tokens:g} is not a multiple of context {self.context}"
            )
        return self


class Evaluation(_Part):
    """Held-out domains. The natural text's own held-out share is always one of them."""

    domains: dict[Name, TextSource] = Field(default_factory=dict)
    documents: int = Field(200, gt=0, description="documents per domain, chosen by seed")
    max_tokens: int = Field(4096, gt=1, description="a longer document is scored by this prefix")


class Laws(_Part):
    """How laws are fitted."""

    bootstrap: int = Field(1000, ge=0)
    objective: Literal["log-huber", "huber", "mse"] = "log-huber"


class Question(_Part):
    """Where the answer is wanted. Defaults: the largest size and the largest budget."""

    params: Count | None = None
    tokens: Count | None = None


class Execution(_Part):
    """How many runs at once and with how many threads each; default by the machine's cores."""

    workers: int | None = Field(None, gt=0)
    threads: int = Field(1, gt=0)
    slurm: dict[str, str | int] = Field(
        default_factory=dict, description="options for sbatch with --executor slurm"
    )


class Study(_Part):
    """One study file."""

    name: Name = "study"
    seed: int = 0
    natural: list[TextSource] = Field(min_length=1)
    corpus: Corpus = Field(default_factory=Corpus)
    generate: Generate = Field(default_factory=Generate)
    tokenizer: TokenizerSpec = Field(default_factory=TokenizerSpec)
    mixtures: dict[Name, dict[str, float]] = Field(min_length=1)
    baseline: str | None = Field(None, description="mixture to compare with; default: the natural")
    ladder: Ladder
    training: Training = Field(default_factory=Training)
    evaluation: Evaluation = Field(default_factory=Evaluation)
    laws: Laws = Field(default_factory=Laws)
    question: Question = Field(default_factory=Question)
    execution: Execution = Field(default_factory=Execution)

    @field_validator("natural", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value

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
    def _natural_is_taken(self) -> Study:
        for place, names in (
            ("generate.recipes", self.generate.recipes),
            ("evaluation.domains", self.evaluation.domains),
        ):
            if NATURAL in names:
                raise ValueError(
                    f"{place}.{NATURAL}: the name is taken by the natural text; choose another"
                )
        return self

    @model_validator(mode="after")
    def _budgets_differ(self) -> Study:
        steps = [self.steps(budget) for budget in self.ladder.budgets]
        if len(set(steps)) < len(steps):
            raise ValueError(
                f"ladder.budgets: {', '.join(f'{b:g}' for b in self.ladder.budgets)} tokens are "
                f"{', '.join(map(str, steps))} steps of training.batch_tokens "
                f"{self.training.batch_tokens:g}; expected budgets that differ by a step"
            )
        return self

    @model_validator(mode="after")
    def _sources_exist(self) -> Study:
        known = [NATURAL, *self.generate.recipes]
        for name, shares in self.mixtures.items():
            for source in shares:
                if source not in known:
                    raise ValueError(
                        f"mixtures.{name}: source {source!r} does not exist; "
                        f"expected one of {', '.join(known)}"
                    )
        if self.baseline is not None and self.baseline not in self.mixtures:
            raise ValueError(
                f"baseline: mixture {self.baseline!r} does not exist; "
                f"expected one of {', '.join(self.mixtures)}"
            )
        for budget in self.ladder.budgets:
            if budget < self.training.batch_tokens:
                raise ValueError(
                    f"ladder.budgets: {budget:g} tokens is less than one batch "
                    f"(training.batch_tokens {self.training.batch_tokens:g})"
                )
        return self

    def baseline_name(self) -> str:
        """The mixture that others are compared with: `baseline`, the natural one, or the first."""
        if self.baseline is not None:
            return self.baseline
        for name, shares in self.mixtures.items():
            if shares.get(NATURAL) == 1.0:
                return name
        return next(iter(self.mixtures))

    def steps(self, budget: float) -> int:
        """Optimizer steps of a run of `budget` tokens: whole batches, at least one."""
        return max(1, round(budget / self.training.batch_tokens))

    def place(self, path: str, base: Path) -> Path:
        """A path of the study file, taken from the file's own folder."""
        found = Path(path).expanduser()
        return found if found.is_absolute() else base / found
