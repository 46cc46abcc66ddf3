"""What can be counted about generated documents beside their sources: faithfulness and diversity.

These are signs, not verdicts: a rephrasing that keeps a source's numbers and names and shares most
content words is probably faithful; openings that repeat say that a generator writes by template.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from synthlaw.common.ngrams import NgramIndex
from synthlaw.common.wordhash import Hashes, ngrams_of
from synthlaw.common.wordhash import words_of as hashed_words
from synthlaw.corpus.documents import Document
from synthlaw.generate.filters import STOP_WORDS, words_of
from synthlaw.generate.recipe import Recipe

OPENING_WORDS = 5
MOST_IDS = 20
LENGTH_EDGES = (0, 50, 100, 200, 300, 400, 500, 600, 800, 1000, 1500, 2000, 3000)
"""Tokens at which bins of lengths begin."""

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# What may not stand before is looked at behind the capital: a sixth of the time.
_NAME = re.compile(r"[A-Z](?<![.!?\"”\n] [A-Z])(?<!^[A-Z])(?<!\w[A-Z])[\w’'-]+", re.M)


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


def distinct_share(grams: Sequence[Hashes]) -> float:
    """Distinct n-grams over all n-grams, in all texts together; 1.0 for none.

    grams: of each text, in order of the text.
    """
    total = sum(map(len, grams))
    return len(np.unique(np.concatenate(grams))) / total if total else 1.0


def self_overlap(grams: Sequence[Hashes]) -> float:
    """Mean share of a text's distinct n-grams that another of the texts holds as well."""
    sets = [np.unique(of_text) for of_text in grams if len(of_text)]
    if not sets:
        return 0.0
    _, places, holders = np.unique(np.concatenate(sets), return_inverse=True, return_counts=True)
    shared = holders[places] > 1
    bounds = np.cumsum([len(one) for one in sets])[:-1]
    return float(np.mean([part.mean() for part in np.split(shared, bounds)]))


def openings(texts: Iterable[str], most: int = 5) -> list[dict[str, Any]]:
    """The most frequent first words, with the share of texts that begin so."""
    counted: Counter[str] = Counter()
    for text in texts:
        counted[" ".join(words_of(text[:400])[:OPENING_WORDS])] += 1
    total = counted.total()
    return [{"words": w, "share": round(c / total, 4)} for w, c in counted.most_common(most)]


def evaluation_overlap(
    recipes: Mapping[str, Recipe], documents: Iterable[Document], index: NgramIndex
) -> dict[str, Any]:
    """How many documents share an n-gram of words with an evaluation set, and with which.

    in_source: documents of those whose source shares one with the same set, so that the overlap
    may have come from there; the rest the generator knew by heart, or wrote by chance.
    """
    total = overlapping = in_source = 0
    by_set, ids = Counter[str](), list[str]()
    for document in documents:
        total += 1
        sets = [overlap.set for overlap in index.find(document.text)]
        if not sets:
            continue
        overlapping += 1
        by_set.update(sets)
        if len(ids) < MOST_IDS:
            ids.append(document.id)
        source = source_in_prompt(recipes[document.fields["recipe"]], document) or ""
        in_source += any(overlap.set in sets for overlap in index.find(source))
    return {
        "words": index.n,
        "evaluation_documents": index.documents,
        "documents": total,
        "overlapping": overlapping,
        "share": round(overlapping / total, 6) if total else 0.0,
        "by_set": dict(by_set),
        "in_source": in_source,
        "ids": ids,
    }


def source_in_prompt(recipe: Recipe, document: Document) -> str | None:
    """The text that the generator saw; None for steps that are not given the document alone."""
    name, prompt = str(document.fields["step"]), str(document.fields["prompt"])
    for step in recipe.steps:
        before, _, after = step.prompt.partition(next(iter(step.slots), "\0"))
        if step.name == name and list(step.slots.values()) == ["{document}"]:
            return prompt[len(before) : len(prompt) - len(after)]
    return None


def histogram(lengths: Iterable[int]) -> dict[str, int]:
    """Documents by length in tokens, up to the last bin that has any."""
    counted = Counter(bisect_right(LENGTH_EDGES, length) - 1 for length in lengths)
    names = [f"{low}-{high - 1}" for low, high in pairwise(LENGTH_EDGES)]
    names.append(f"{LENGTH_EDGES[-1]} or more")
    return {names[place]: counted[place] for place in range(max(counted, default=-1) + 1)}


def describe(recipes: Mapping[str, Recipe], documents: Sequence[Document]) -> dict[str, Any]:
    """Lengths, faithfulness and diversity of documents that recipes made.

    recipes: by name.
    """
    texts = [document.text for document in documents]
    lengths = np.array([int(d.fields["completion_tokens"]) for d in documents], dtype=float)
    sources = [source_in_prompt(recipes[d.fields["recipe"]], d) for d in documents]
    pairs = zip(sources, texts, strict=True)
    faith = [faithfulness(source, text) for source, text in pairs if source is not None]
    words = [hashed_words(text).hashes for text in texts]
    grams = {n: [ngrams_of(of_text, n) for of_text in words] for n in (1, 2, 4)}
    quantiles = (0, 10, 25, 50, 75, 90, 100)
    return {
        "documents": len(documents),
        "tokens": {
            f"p{q}": round(float(np.percentile(lengths, q)), 1) for q in quantiles if lengths.size
        },
        "lengths": histogram(lengths),
        "faithfulness": {
            name: _mean([getattr(one, name) for one in faith])
            for name in ("numbers", "names", "content_kept", "content_grounded")
        },
        "diversity": {
            **{f"distinct_{n}": round(distinct_share(grams[n]), 4) for n in grams},
            "self_overlap_4": round(self_overlap(grams[4]), 4),
            "openings": openings(texts),
        },
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 4) if known else None
