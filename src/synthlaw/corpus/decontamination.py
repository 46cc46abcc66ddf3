"""Which training documents overlap with which evaluation sets: n-grams of words, 13 by default.

A training document is contaminated by a set when they share an n-gram (after GPT-3, appendix C;
the words are normalised as in common/wordhash.py). Evaluation documents of fewer than n words
cannot be found so; they are counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from synthlaw.common.files import atomic_folder
from synthlaw.common.ngrams import USUAL_N, NgramIndex, Overlap
from synthlaw.common.wordhash import Words, words_of
from synthlaw.corpus.documents import Document, read_documents
from synthlaw.corpus.parquet import PartWriter

OVERLAPS = "contamination.jsonl"

MOST_SPANS = 20
"""Spans of one overlap that are listed; their words are all counted."""


def index_of(sets: Mapping[str, Iterable[Document]], n: int = USUAL_N) -> NgramIndex:
    """The n-grams of evaluation sets by name."""
    return NgramIndex({name: ((d.id, d.text) for d in docs) for name, docs in sets.items()}, n)


@dataclass
class Contamination:
    """What one training corpus shares with the sets of an index, document by document."""

    index: NgramIndex
    documents: int = 0
    words: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    contaminated: int = 0
    _touched: dict[str, set[int]] = field(default_factory=dict)
    _hit: dict[str, int] = field(default_factory=dict)
    _hit_words: dict[str, int] = field(default_factory=dict)

    def check(self, identity: str, text: str, words: Words | None = None) -> list[Overlap]:
        """Count one training document, and return what it shares."""
        words = words_of(text) if words is None else words
        found = self.index.find(words)
        self.documents += 1
        self.words += len(words)
        self.contaminated += bool(found)
        for overlap in found:
            name = overlap.set
            self._touched.setdefault(name, set()).update(overlap.documents)
            self._hit[name] = self._hit.get(name, 0) + 1
            self._hit_words[name] = self._hit_words.get(name, 0) + overlap.words
            self.rows.append(self._row(identity, text, words, overlap))
        return found

    def _row(self, identity: str, text: str, words: Words, overlap: Overlap) -> dict[str, Any]:
        return {
            "id": identity,
            "set": overlap.set,
            "words": overlap.words,
            "share": round(overlap.words / len(words), 6),
            "evaluation_documents": [self.index.identities[n] for n in overlap.documents],
            "spans": [list(span) for span in overlap.spans[:MOST_SPANS]],
            "first": text[slice(*overlap.spans[0])][:200],
        }

    def state(self) -> dict[str, Any]:
        """The counts as JSON values, for `add`."""
        return {
            "documents": self.documents,
            "words": self.words,
            "contaminated": self.contaminated,
            "touched": {name: sorted(numbers) for name, numbers in self._touched.items()},
            "hit": self._hit,
            "hit_words": self._hit_words,
        }

    def add(self, state: Mapping[str, Any]) -> None:
        """Add the counts of another part of the corpus."""
        self.documents += state["documents"]
        self.words += state["words"]
        self.contaminated += state["contaminated"]
        for name, numbers in state["touched"].items():
            self._touched.setdefault(name, set()).update(numbers)
        for mine, theirs in ((self._hit, state["hit"]), (self._hit_words, state["hit_words"])):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count

    def summary(self) -> dict[str, Any]:
        """Counts in all and by evaluation set."""
        sizes = self.index.documents
        return {
            "n": self.index.n,
            "documents": self.documents,
            "words": self.words,
            "contaminated": self.contaminated,
            "sets": [
                {
                    "set": name,
                    "contaminated_documents": self._hit.get(name, 0),
                    "overlapping_words": self._hit_words.get(name, 0),
                    "evaluation_documents": sizes[name],
                    "evaluation_documents_found": len(self._touched.get(name, ())),
                    "evaluation_documents_too_short": self.index.too_short[name],
                }
                for name in self.index.names
            ],
        }


def check_part(
    task: Mapping[str, Any], out: Path, report: Callable[[float], None]
) -> dict[str, Any]:
    """A job: what one part of documents shares with the sets of an index, as contamination.jsonl.

    task: "name" of the job's folder; "part", a file of documents; "index", the folder of an
    NgramIndex; "keep", whether the part is written again without what shares something.
    Returns the counts as "state", and as "parts" what was kept.
    """
    found = Contamination(NgramIndex.load(Path(task["index"])))
    part = Path(task["part"])
    with atomic_folder(out / task["name"]) as aside:
        kept = PartWriter(aside, "documents", pq.read_schema(part)) if task["keep"] else None
        for document in read_documents(part):
            shared = found.check(document.id, document.text)
            if kept is not None and not shared:
                kept.add(document.row())
            report(1)
        with (aside / OVERLAPS).open("w", encoding="utf-8") as stream:
            for row in found.rows:
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        parts = [made.as_json() for made in kept.close()] if kept is not None else []
    return {
        "state": found.state(),
        "parts": [made | {"name": f"{task['name']}/{made['name']}"} for made in parts],
    }
