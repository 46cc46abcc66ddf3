"""How a corpus is made: what determines it, beside its input."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.common.ngrams import USUAL_N
from synthlaw.corpus.conditions import Condition
from synthlaw.corpus.language import code_of
from synthlaw.corpus.readers.html import Extractor

VERSION = 2
"""Raised when the same input and settings would give another corpus."""

DEDUP = ("paragraphs", "exact", "fuzzy")


@dataclass(frozen=True)
class Settings:
    """Defaults are the paper's baseline: RedPajama-v2 on CCNet, deduplicated and unfiltered.

    dedup: which of DEDUP. similarity: from which on documents are near-duplicates (Jaccard, word
    5-grams). language: keep only this one, at a score of at least language_score. keep: keep only
    documents that fulfil this condition on their columns. blocklist: words for the signal
    `blocklist_words`. contaminated: "report" or "remove". held_out: share set aside, chosen by the
    text. max_words: longer documents are cut to pieces; 0 keeps them whole. strict: end at the
    first thing that cannot be read, instead of counting it.
    """

    dedup: tuple[str, ...] = DEDUP
    similarity: float = 0.8
    language: str | None = None
    language_score: float = 0.5
    signals: bool = True
    keep: str | None = None
    blocklist: tuple[str, ...] = ()
    extractor: Extractor = "resiliparse"
    ngram: int = USUAL_N
    contaminated: str = "report"
    held_out: float = 0.0
    max_words: int = 0
    seed: int = 0
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
