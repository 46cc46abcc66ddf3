"""The documents that recipes are given: the natural training documents in one seeded order."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from synthlaw.common.parts import Dataset, Numbers
from synthlaw.common.seeds import derive_seed
from synthlaw.corpus.documents import Document, documents_at, read_dataset

RANKED_DOCUMENTS = 1 << 20
"""Up to so many documents are put in order by a number drawn for each identity, so that a document
that is left out does not move the others; the order of more is a permutation that is never held in
memory."""

_AT_ONCE = 1 << 11
"""Documents fetched at a time, fewer where they are long: see _BYTES_AT_ONCE."""

_BYTES_AT_ONCE = 1 << 25


class SourceDocuments:
    """A dataset of documents as input of generation runs, in an order by the study's seed.

    block_size: part of the digests, since what a study takes of a run are whole blocks.
    """

    def __init__(self, dataset: Dataset, seed: int, block_size: int) -> None:
        self.dataset, self._seed = dataset, seed
        self.documents = dataset.documents
        self.digests = [dataset.identity, f"order {seed}", f"blocks of {block_size}"]

    @cached_property
    def _ranked(self) -> Numbers:
        seeds = (derive_seed(self._seed, "sources", one.id) for one in self.scan())
        ranks = np.fromiter(seeds, dtype=np.int64, count=self.documents)
        return np.argsort(ranks, kind="stable")

    def _numbers(self, start: int, stop: int) -> Numbers:
        if self.documents <= RANKED_DOCUMENTS:
            return self._ranked[start:stop]
        order = self.dataset.order(derive_seed(self._seed, "sources"))
        return np.asarray(order(np.arange(start, stop)), dtype=np.int64)

    def range(self, start: int, stop: int) -> Iterator[Document]:
        """Documents number `start` to `stop` of the order, the latter not included."""
        stop = min(stop, self.documents)
        mean = max(1, self.dataset.text_bytes // max(1, self.documents))
        step = max(1, min(_AT_ONCE, _BYTES_AT_ONCE // mean))
        for first in range(start, stop, step):
            yield from documents_at(self.dataset, self._numbers(first, min(first + step, stop)))

    def scan(self) -> Iterator[Document]:
        """Every document, as they lie in the parts."""
        return read_dataset(self.dataset)
