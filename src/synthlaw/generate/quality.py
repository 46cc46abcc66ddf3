"""What can be counted about generated documents beside their sources: faithfulness and diversity.

These are signs, not verdicts: a rephrasing that keeps a source's numbers and names and shares most
content words is probably faithful; openings that repeat say that a generator writes by template.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthlaw.corpus.documents import Document
from synthlaw.generate.filters import STOP_WORDS, words_of
from synthlaw.generate.recipe import Recipe

OPENING_WORDS = 5
OVERLAP_WORDS = 13
"""Words in a row that count as copied from an evaluation set: GPT-3's decontamination length."""

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NAME = re.compile(r"(?<![.!?\"”\n] )(?<!^)\b[A-Z][\w’'-]+", re.M)


@dataclass(frozen=True)
class Faithfulness:
    """Shares, each in [0, 1]; None where the source has nothing to keep.

    numbers, names: of the source's distinct numbers and of its capitalised words inside sentences,
    how many the output has. content_kept: of the source's distinct content words (no stop words),
    how many the output has. content_grounded: of the output's, how many the source has.
    """

    numbers: float | None
    names: float | None
    content_kept: float | None
    content_grounded: float | None


def faithfulness(source: str, output: str) -> Faithfulness:
    """Compare an output with the part of its source that the generator saw."""
    lower = output.lower()
    numbers, names = set(_NUMBER.findall(source)), set(_NAME.findall(source))
    kept = set(_NUMBER.findall(output))
    given = set(words_of(source)) - STOP_WORDS
    made = set(words_of(output)) - STOP_WORDS
    return Faithfulness(
        numbers=_share(number in kept for number in numbers),
        names=_share(name.lower() in lower for name in names),
        content_kept=_share(word in made for word in given),
        content_grounded=_share(word in given for word in made),
    )


def _share(flags: Iterable[bool]) -> float | None:
    values = list(flags)
    return sum(values) / len(values) if values else None


def distinct_share(texts: Sequence[str], n: int) -> float:
    """Distinct word n-grams over all word n-grams, in all texts together; 1.0 for none."""
    grams: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        grams.update(_grams(text, n))
    return len(grams) / grams.total() if grams else 1.0


def self_overlap(texts: Sequence[str], n: int = 4) -> float:
    """Mean share of a text's distinct n-grams that another of the texts holds as well."""
    sets = [set(_grams(text, n)) for text in texts]
    holders = Counter(gram for grams in sets for gram in grams)
    shares = [sum(holders[gram] > 1 for gram in grams) / len(grams) for grams in sets if grams]
    return float(np.mean(shares)) if shares else 0.0


def openings(texts: Iterable[str], most: int = 5) -> list[dict[str, Any]]:
    """The most frequent first words, with the share of texts that begin so."""
    counted: Counter[str] = Counter()
    for text in texts:
        counted[" ".join(words_of(text[:400])[:OPENING_WORDS])] += 1
    total = counted.total()
    return [{"words": w, "share": round(c / total, 4)} for w, c in counted.most_common(most)]


def evaluation_overlap(texts: Sequence[str], evaluation: Iterable[str]) -> float:
    """Share of texts that have 13 words in a row in common with an evaluation text."""
    mine: dict[tuple[str, ...], set[int]] = {}
    for place, text in enumerate(texts):
        for gram in _grams(text, OVERLAP_WORDS):
            mine.setdefault(gram, set()).add(place)
    found: set[int] = set()
    for text in evaluation:
        for gram in _grams(text, OVERLAP_WORDS):
            found |= mine.get(gram, set())
    return len(found) / len(texts) if texts else 0.0


def _grams(text: str, n: int) -> Iterable[tuple[str, ...]]:
    words = words_of(text)
    return zip(*(words[shift:] for shift in range(n)), strict=False)


def source_in_prompt(recipe: Recipe, document: Document) -> str | None:
    """The text that the generator saw; None for steps that are not given the document alone."""
    name, prompt = str(document.fields["step"]), str(document.fields["prompt"])
    for step in recipe.steps:
        before, _, after = step.prompt.partition(next(iter(step.slots), "\0"))
        if step.name == name and list(step.slots.values()) == ["{document}"]:
            return prompt[len(before) : len(prompt) - len(after)]
    return None


def describe(recipe: Recipe, documents: Sequence[Document]) -> dict[str, Any]:
    """Lengths, finish reasons, faithfulness and diversity of documents that a recipe made."""
    texts = [document.text for document in documents]
    lengths = np.array([int(d.fields["completion_tokens"]) for d in documents], dtype=float)
    pairs = [(source_in_prompt(recipe, document), document.text) for document in documents]
    faith = [faithfulness(source, text) for source, text in pairs if source is not None]
    quantiles = (0, 10, 25, 50, 75, 90, 100)
    return {
        "documents": len(documents),
        "finish_reasons": dict(Counter(str(d.fields["finish_reason"]) for d in documents)),
        "tokens": {
            f"p{q}": round(float(np.percentile(lengths, q)), 1) for q in quantiles if lengths.size
        },
        "faithfulness": {
            name: _mean([getattr(one, name) for one in faith])
            for name in ("numbers", "names", "content_kept", "content_grounded")
        },
        "diversity": {
            "distinct_1": round(distinct_share(texts, 1), 4),
            "distinct_2": round(distinct_share(texts, 2), 4),
            "distinct_4": round(distinct_share(texts, 4), 4),
            "self_overlap_4": round(self_overlap(texts), 4),
            "openings": openings(texts),
        },
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 4) if known else None
