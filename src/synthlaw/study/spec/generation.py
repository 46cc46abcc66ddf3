"""The synthetic half: engine, sampling, recipes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from synthlaw.common.errors import UsageError
from synthlaw.common.settings import Name, Settings
from synthlaw.generate.engines.base import EngineDefaults, defaults_of
from synthlaw.generate.engines.base import Sampling as EngineSampling
from synthlaw.generate.engines.registry import engine_kinds, not_taken
from synthlaw.generate.engines.vllm_options import Option, arguments


class Sampling(Settings):
    """How the generator samples. What is left out is the engine's default: `Generate.defaults`."""

    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0)
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    frequency_penalty: float | None = Field(None, ge=-2, le=2, description="0 is off")


class EngineSpec(Settings):
    """The generator: the embedded model, an OpenAI-compatible server by URL, or vLLM run here."""

    kind: str = Field("embedded", description="embedded, openai, vllm, or a kind added to them")
    base_url: list[str] = Field(default_factory=list)
    model: str | None = None
    tokenizer: str | None = Field(None, description="tokenizer.json that counts for the server")
    concurrency: int | None = Field(None, gt=0, description="default: the engine's own")
    api: Literal["chat", "completions"] = Field("chat", description="of servers")
    fold_system: bool = Field(False, description="system prompt into the user's turn, on servers")
    options: dict[str, Option] = Field(
        default_factory=dict, description="of `vllm serve`, such as max-model-len: 4096"
    )
    command: str = Field("vllm", description="what runs vLLM, where it is not on PATH")

    @field_validator("kind")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in engine_kinds():
            raise ValueError(f"found {value!r}; expected one of {', '.join(engine_kinds())}")
        return value

    @field_validator("base_url", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("base_url")
    @classmethod
    def _without_password(cls, value: list[str]) -> list[str]:
        if any("@" in url.partition("?")[0] for url in value):
            raise ValueError(
                "found a user or password in a URL; a study's file is copied into its folder, so "
                "put the key into the environment: SYNTHLAW_API_KEY"
            )
        return value

    @model_validator(mode="after")
    def _complete(self) -> EngineSpec:
        if self.kind == "openai" and (not self.base_url or self.model is None):
            raise ValueError("kind 'openai' needs 'base_url' and 'model'")
        if self.kind == "vllm" and self.model is None:
            raise ValueError(
                "kind 'vllm' needs 'model', a name on the Hugging Face hub or a folder"
            )
        empty = EngineSpec.model_construct()
        given = [n for n in EngineSpec.model_fields if getattr(self, n) != getattr(empty, n)]
        if wrong := not_taken(self.kind, given):
            raise ValueError(wrong)
        try:
            arguments(self.options)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return self


class RecipeUse(Settings):
    """How one recipe is used: source documents (default: as many as the budgets need)."""

    recipe: str | None = Field(None, description="name or YAML file; default: the key itself")
    documents: int | None = Field(None, gt=0)
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


class Generate(Settings):
    """The synthetic half."""

    engine: EngineSpec = Field(default_factory=EngineSpec)
    sampling: Sampling = Field(default_factory=Sampling)
    input_tokens: int | None = Field(
        None, gt=0, description="documents are cut to so many tokens; default: the engine's"
    )
    shard_documents: int = Field(
        64, gt=0, description="source documents in the first blocks; later ones grow"
    )
    max_failed: float = Field(
        0.02, ge=0, le=1, description="share of a block's documents that may fail for good"
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

    @property
    def defaults(self) -> EngineDefaults:
        """What counts where the file says nothing: the paper's, or the packaged model's own."""
        return defaults_of(self.engine.kind, self.engine.model)

    @property
    def source_tokens(self) -> int:
        """Tokens that a document is cut to."""
        return self.input_tokens or self.defaults.input_tokens

    def sampling_with(self, max_tokens: int | None = None) -> EngineSampling:
        """The sampling with every value settled; what the file says wins over the defaults."""
        said = self.sampling.model_dump(exclude_none=True)
        if max_tokens is not None:
            said["max_tokens"] = max_tokens
        return replace(self.defaults.sampling, **said)

    def rules_off(self, use: RecipeUse) -> tuple[str, ...]:
        """Post-filter rules that are off for a recipe."""
        return (
            self.defaults.rules_off if use.without_filters is None else tuple(use.without_filters)
        )
