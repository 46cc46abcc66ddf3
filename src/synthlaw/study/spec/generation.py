"""The synthetic half: engine, sampling, recipes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from synthlaw.study.spec.fields import Name, Part


class Sampling(Part):
    """How the generator samples. Defaults are the paper's (A.1.2)."""

    temperature: float = Field(0.7, ge=0, le=2)
    top_p: float = Field(0.95, gt=0, le=1)
    top_k: int = Field(0, ge=0)
    repetition_penalty: float = Field(1.0, gt=0)


class EngineSpec(Part):
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


class RecipeUse(Part):
    """How one recipe is used: source documents (default: as many as the budgets need)."""

    recipe: str | None = Field(None, description="name or YAML file; default: the key itself")
    documents: int | None = Field(None, gt=0)
    chapters: int | None = Field(None, gt=0, le=50, description="textbooks: chapters per book")
    seeds: Literal["document", "themes", "keywords"] | None = Field(
        None, description="what stands for the document: its text, its key phrases, or sampled ones"
    )
    max_tokens: int = Field(1024, gt=0, description="longest completion, generator's tokens")
    without_filters: list[str] = Field(default_factory=list)


class Generate(Part):
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
