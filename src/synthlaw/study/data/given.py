"""Sources that the study names rather than makes: synthetic or other text from elsewhere."""

from __future__ import annotations

from synthlaw.common.parts import Dataset
from synthlaw.corpus.pipeline import Source
from synthlaw.corpus.settings import Settings
from synthlaw.study.data.natural import (
    CORPUS_VERSION,
    documents_of,
    found_corpus,
    inputs_of,
    pieces_of,
    prepared,
)
from synthlaw.study.workspace import Workspace


def make_given(space: Workspace, name: str) -> Dataset:
    """The documents of the source `name`, as they are.

    Raises UsageError when it has no document.
    """
    source, store = space.study.sources[name], space.store
    inputs = {"source": inputs_of(space, source), "seed": space.study.seed}
    place, label = f"sources.{name}", f"given-{name}"
    key = store.key("corpus", CORPUS_VERSION, inputs)
    found = found_corpus(space, place, label, key)
    if found is None:
        settings = Settings(dedup=(), annotate=False, shortest_words=0, seed=space.study.seed)
        files = Source(pieces_of(space, source), source.documents)
        _, seconds = prepared(space, place, label, key, [files], settings)
        found = store.adopt("corpus", label, key, seconds)
    return documents_of(found)
