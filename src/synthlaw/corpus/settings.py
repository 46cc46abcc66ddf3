"""How a corpus is made: what determines it, beside its input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.common.ngrams import USUAL_N
from synthlaw.common.parts import PART_BYTES
from synthlaw.corpus.conditions import Condition
from synthlaw.corpus.language import code_of
from synthlaw.corpus.readers.html import Extractor

VERSION = 3
"""Raised when the same input and settings would give another corpus."""

SHORTEST_WORDS = 20
"""Documents of fewer words are left out and counted."""

DEDUP = ("paragraphs", "exact", "fuzzy")


@dataclass(frozen=True)
class Settings:
    """Defaults are the paper's baseline: RedPajama-v2 on CCNet, deduplicated and unfiltered.

    dedup: which of DEDUP. similarity: from which on documents are near-duplicates (Jaccard, word
    5-grams). language: keep only this one, at a score of at least language_score. keep: keep only
    documents that fulfil this condition on their columns. blocklist: words for the signal
    `blocklist_words`. annotate: language and signals as columns; without it documents keep their
    own columns only. contaminated: "report" or "remove". held_out: share set aside, chosen by the
    text. shortest_words: documents of fewer are left out. max_words: longer documents are cut to
    pieces; 0 keeps them whole. part_bytes: most text of a part. strict: end at the first thing that
    cannot be read, instead of counting it.
    """

    dedup: tuple[str, ...] = DEDUP
    similarity: float = 0.8
    language: str | None = None
    language_score: float = 0.5
    annotate: bool = True
    signals: bool = True
    keep: str | None = None
    blocklist: tuple[str, ...] = ()
    extractor: Extractor = "resiliparse"
    ngram: int = USUAL_N
    contaminated: str = "report"
    held_out: float = 0.0
    shortest_words: int = SHORTEST_WORDS
    max_words: int = 0
    seed: int = 0
    part_bytes: int = PART_BYTES
    strict: bool = False

    def __post_init__(self) -> None:
        unknown = sorted(set(self.dedup) - set(DEDUP))
        if unknown:
            raise UsageError(f"dedup: found {unknown[0]!r}; expected {', '.join(DEDUP)}")
        if not 0.3 <= self.similarity <= 1:
            raise UsageError(f"similarity: found {self.similarity}; expected 0.3 to 1")
        if not 0 <= self.held_out < 1:
            raise UsageError(f"held out: found {self.held_out}; expected a share from 0 to below 1")
        if self.ngram < 1:
            raise UsageError(f"n-gram: found {self.ngram}; expected at least 1 word")
        if self.keep is not None:
            Condition(self.keep)
        if self.language is not None:
            object.__setattr__(self, "language", known_language(self.language))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Settings:
        """The settings that `as_json` gave, whether or not they went through JSON since."""
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in value.items()
        }
        return cls(**values)

    def as_json(self) -> dict[str, Any]:
        """The settings as JSON values, for keys: without `strict`, which changes no document."""
        return {name: value for name, value in asdict(self).items() if name != "strict"}


def known_language(name: str) -> str:
    """The code of a language that a user names. Raises UsageError when there is none."""
    code = code_of(name)
    if code is None:
        raise UsageError(
            f"language: found {name!r}, which is no language; expected a code or a name, such as "
            "en, eng_Latn or English"
        )
    return code
