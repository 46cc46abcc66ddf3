"""Text: where it comes from, how it is made ready, how it is tokenized."""

from __future__ import annotations

from pydantic import Field, model_validator

from synthlaw.study.spec.fields import Part


class TextSource(Part):
    """Where documents come from: `path` (file, folder or pattern) or an `embedded` text."""

    path: str | None = None
    embedded: str | None = None
    documents: int | None = Field(None, gt=0, description="read at most so many, chosen by seed")

    @model_validator(mode="after")
    def _one_place(self) -> TextSource:
        if (self.path is None) == (self.embedded is None):
            raise ValueError("give exactly one of 'path' and 'embedded'")
        return self


class Corpus(Part):
    """How natural documents are made ready."""

    max_words: int = Field(
        0, ge=0, description="cut longer documents to pieces; 0 keeps them whole"
    )
    held_out: float = Field(0.05, ge=0, lt=1, description="share set aside for evaluation")


class TokenizerSpec(Part):
    """A BPE of `vocab` entries trained on the natural text, or a `tokenizer.json` by `path`."""

    vocab: int = Field(4096, ge=260)
    path: str | None = None

    @model_validator(mode="after")
    def _one(self) -> TokenizerSpec:
        if {"vocab", "path"} <= self.model_fields_set:
            raise ValueError("give 'vocab' or 'path', not both")
        return self
