"""Text: where it comes from, how it is made ready, how it is tokenized."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from synthlaw.common.errors import UsageError
from synthlaw.common.settings import Settings
from synthlaw.corpus.conditions import Condition
from synthlaw.corpus.settings import known_language
from synthlaw.tokens.tokenizer import is_named


class TextSource(Settings):
    """Where documents come from: `path` or an `embedded` text.

    A path is a file, folder, pattern or URL, or a data set: `hub:NAME`, `redpajama:ROOT`.
    """

    path: str | None = None
    embedded: str | None = None
    documents: int | None = Field(None, gt=0, description="read at most so many, chosen by seed")

    @model_validator(mode="after")
    def _one_place(self) -> TextSource:
        if (self.path is None) == (self.embedded is None):
            raise ValueError("give exactly one of 'path' and 'embedded'")
        return self


class Corpus(Settings):
    """How natural documents are made ready."""

    max_words: int = Field(
        0, ge=0, description="cut longer documents to pieces; 0 keeps them whole"
    )
    held_out: float = Field(0.05, ge=0, lt=1, description="share set aside for evaluation")
    dedup: tuple[Literal["paragraphs", "exact", "fuzzy"], ...] = ("paragraphs", "exact", "fuzzy")
    similarity: float = Field(0.8, ge=0.3, le=1, description="of near-duplicates (Jaccard)")
    language: str | None = Field(None, description="keep this language only, such as en")
    language_score: float = Field(0.5, ge=0, le=1)
    signals: bool = Field(True, description="quality signals as columns of the documents")
    keep: str | None = Field(None, description="condition on columns that documents must fulfil")
    extractor: Literal["resiliparse", "trafilatura"] = "resiliparse"
    decontaminate: Literal["off", "report", "remove"] = Field(
        "report", description="natural documents that overlap with an evaluation domain"
    )
    strict: bool = Field(False, description="end at the first record that cannot be read")
    ngram: int = Field(13, gt=0, description="shared words in a row that make an overlap")

    @field_validator("language")
    @classmethod
    def _a_language(cls, value: str | None) -> str | None:
        try:
            return value if value is None else known_language(value)
        except UsageError as error:
            raise ValueError(str(error)) from error

    @field_validator("keep")
    @classmethod
    def _a_condition(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                Condition(value)
            except UsageError as error:
                raise ValueError(str(error)) from error
        return value


class TokenizerSpec(Settings):
    """A BPE of `vocab` entries trained on a sample of the natural text; a file by `path`
    (tokenizer.json, .tiktoken, .model); or a `name`: llama3, tiktoken:NAME."""

    vocab: int = Field(4096, ge=260)
    path: str | None = None
    name: str | None = None

    @model_validator(mode="after")
    def _one(self) -> TokenizerSpec:
        given = sorted(self.model_fields_set)
        if len(given) > 1:
            raise ValueError(f"give one of 'vocab', 'path' and 'name'; found {', '.join(given)}")
        if self.name is not None and not is_named(self.name):
            raise ValueError(f"found name {self.name!r}; expected llama3 or tiktoken:NAME")
        return self
