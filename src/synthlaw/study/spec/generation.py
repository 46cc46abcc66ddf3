"""The synthetic half: generators, sampling, recipes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from synthlaw.common.settings import Name, Settings
from synthlaw.generate.engines.base import (
    EngineDefaults,
    Sampling,
    SamplingSettings,
    defaults_of,
)
from synthlaw.generate.engines.registry import EngineSettings
from synthlaw.study.spec.rounds import RunRef

ENGINE = "engine"
"""Name of the generator that `generate.engine` is."""


class EngineSpec(EngineSettings):
    """The generator: the embedded model, an OpenAI-compatible server by URL, or vLLM run here."""

    @property
    def _is_made_here(self) -> bool:
        """Whether the model is one that the study itself trains."""
        return False

    @field_validator("base_url")
    @classmethod
    def _without_password(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any("@" in url.partition("?")[0] for url in value):
            raise ValueError(
                "found a user or password in a URL; a study's file is copied into its folder, so "
                "put the key into the environment: SYNTHLAW_API_KEY"
            )
        return value

    @model_validator(mode="after")
    def _named(self) -> EngineSpec:
        if self._is_made_here:
            return self
        if self.kind == "openai" and (not self.base_url or self.model is None):
            raise ValueError("kind 'openai' needs 'base_url' and 'model'")
        if self.kind == "vllm" and self.model is None:
            raise ValueError(
                "kind 'vllm' needs 'model', a name on the Hugging Face hub or a folder"
            )
        return self


class GeneratorSpec(EngineSpec):
    """A generator by a name of its own: an engine, and how its text is drawn."""

    run: str | RunRef | None = Field(
        None,
        description="a run of this study whose model writes, by its name or by mixture, size, "
        "budget and seed; kinds 'transformers' (the default then) and 'vllm'",
    )

    sampling: SamplingSettings = Field(
        default_factory=SamplingSettings, description="what it leaves open: generate.sampling's"
    )
    input_tokens: int | None = Field(
        None, gt=0, description="documents are cut to so many tokens; default: generate's"
    )

    @property
    def _is_made_here(self) -> bool:
        return self.run is not None

    @model_validator(mode="before")
    @classmethod
    def _continues(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("run") is not None:
            return {"kind": "transformers", **value}
        return value

    @model_validator(mode="after")
    def _run_fits(self) -> GeneratorSpec:
        if self.run is None:
            return self
        if self.kind not in ("transformers", "vllm"):
            raise ValueError(
                f"found kind {self.kind!r} with 'run'; expected 'transformers', or 'vllm' to serve "
                "the run's model"
            )
        if self.model is not None:
            raise ValueError("found 'model' beside 'run'; the run's model is what writes")
        return self

    @property
    def defaults(self) -> EngineDefaults:
        """What counts where the file says nothing: the paper's, or the packaged model's own."""
        return defaults_of(self.kind, self.model)

    @property
    def source_tokens(self) -> int:
        """Tokens that a document is cut to."""
        return self.input_tokens or self.defaults.input_tokens

    def sampling_with(self, max_tokens: int | None = None) -> Sampling:
        """The sampling with every value settled; what the file says wins over the defaults."""
        return self.sampling.over(self.defaults.sampling, max_tokens=max_tokens)

    def rules_off(self, use: RecipeUse) -> tuple[str, ...]:
        """Post-filter rules that are off for a recipe."""
        return (
            self.defaults.rules_off if use.without_filters is None else tuple(use.without_filters)
        )


class RecipeUse(Settings):
    """How one recipe is used: source documents (default: as many as the budgets need)."""

    recipe: str | dict[str, float] | None = Field(
        None,
        description="name or YAML file, or several with weights, {hq: 0.7, qa: 0.3}, of which each "
        "rollout of a document has one; default: the key itself",
    )
    generator: str | None = Field(
        None, description="one of generate.generators; default: generate.engine"
    )
    documents: int | None = Field(
        None, gt=0, description="source documents; default: as many as the grid needs"
    )
    rollouts: int = Field(
        1,
        gt=0,
        le=1000,
        description="most versions of a document, with seeds of their own: all documents once "
        "before any twice",
    )
    versions: int = Field(
        1, gt=0, le=1000, description="times that a document is rewritten in one rollout"
    )
    stitch: Literal["first", "last", "without"] | None = Field(
        None,
        description="join what is kept of the versions to one document, a megadoc, with the "
        "original first, last or without it",
    )
    chapters: int | None = Field(None, gt=0, le=50, description="textbooks: chapters per book")
    seeds: Literal["document", "themes", "keywords"] | None = Field(
        None, description="what stands for the document: its text, its key phrases, or sampled ones"
    )
    max_tokens: int | None = Field(
        None, gt=0, description="longest completion, generator's tokens; default: the engine's"
    )
    without_filters: list[str] | None = Field(
        None, description="post-filter rules that are off; default: the engine's"
    )

    @field_validator("recipe")
    @classmethod
    def _weights(cls, value: Any) -> Any:
        if isinstance(value, dict) and not (value and all(0 < w < 1e9 for w in value.values())):
            raise ValueError(f"found {value}; expected recipes with weights above 0")
        return value

    def named(self, key: str) -> dict[str, float]:
        """Weights by recipe; key: the use's own name in the study."""
        if isinstance(self.recipe, dict):
            return self.recipe
        return {self.recipe or key: 1.0}


class Generate(Settings):
    """The synthetic half."""

    engine: EngineSpec = Field(
        default_factory=EngineSpec, description="of recipes that name no generator"
    )
    generators: dict[Name, GeneratorSpec] = Field(
        default_factory=dict, description="others by name, to compare what they write"
    )
    sampling: SamplingSettings = Field(
        default_factory=SamplingSettings, description="of every generator that leaves it open"
    )
    input_tokens: int | None = Field(
        None, gt=0, description="documents are cut to so many tokens; default: the engine's"
    )
    shard_documents: int = Field(
        64, gt=0, description="source documents in the first blocks; later ones grow"
    )
    max_failed: float = Field(
        0.02, ge=0, le=1, description="share of a block's documents that may fail for good"
    )
    workers: int = Field(1, gt=0, description="jobs that generate side by side, on a cluster")
    recipes: dict[Name, RecipeUse] = Field(default_factory=dict)

    @field_validator(
        "recipes",
        mode="before",
        json_schema_input_type=list[str] | dict[Name, RecipeUse | None],
    )
    @classmethod
    def _list_of_names(cls, value: Any) -> Any:
        if isinstance(value, list):
            return {str(name): {} for name in value}
        if isinstance(value, dict):
            return {name: use or {} for name, use in value.items()}
        return value

    @model_validator(mode="after")
    def _generators_exist(self) -> Generate:
        if ENGINE in self.generators:
            raise ValueError(
                f"generators.{ENGINE}: the name is taken by generate.engine; choose another"
            )
        for name, use in self.recipes.items():
            if use.generator is not None and use.generator not in self.generators:
                known = ", ".join(self.generators) or "none: generate.generators is empty"
                raise ValueError(
                    f"recipes.{name}.generator: {use.generator!r} does not exist; expected one of "
                    f"{known}"
                )
        return self

    def generator_name(self, recipe: str) -> str:
        """The generator that carries out one of the recipes."""
        return self.recipes[recipe].generator or ENGINE

    def generator_of(self, recipe: str) -> GeneratorSpec:
        """How the generator of one of the recipes is set, with nothing left open."""
        return self.used_generators[self.generator_name(recipe)]

    @property
    def used_generators(self) -> Mapping[str, GeneratorSpec]:
        """Every generator that a recipe asks for by name; generate.engine's is ENGINE."""
        return {name: self._settled(name) for name in map(self.generator_name, self.recipes)}

    def _settled(self, name: str) -> GeneratorSpec:
        own = self.generators.get(name) or GeneratorSpec(**self.engine.model_dump())
        said = self.sampling.model_dump(exclude_none=True)
        said |= own.sampling.model_dump(exclude_none=True)
        tokens = own.input_tokens or self.input_tokens
        return own.model_copy(update={"sampling": SamplingSettings(**said), "input_tokens": tokens})
