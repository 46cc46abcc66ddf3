"""Sampling by documents, as Meta's Lingua does: for parity with runs made that way.

Documents are drawn by their shares, each source's in one seeded permutation, and strung together;
window w is the w-th stretch of `context` tokens of that string. Where documents of one source are
longer than those of another, tokens do *not* come in the shares asked for: `use` says in which
they come. Lingua draws each document's source at random; here sources alternate so that any prefix
is within one document of the shares, which has the same mean and no luck in it.

A window is still a pure function of its number. To find it, tokens are counted in blocks of
documents up to it, once: some 0.3 µs a document and 8 bytes a block; of every document in the
sources its place is kept in memory, 16 bytes.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import UsageError
from synthlaw.common.permutation import Permutation
from synthlaw.common.seeds import derive_seed
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.sampler import SAMPLER_VERSION, Sampler, SourceUse
from synthlaw.tokens.shares import ShareSchedule

BLOCK = 1 << 14
"""Documents that are looked up at once."""

BLOCKS_KEPT = 8


class _Block(NamedTuple):
    """Documents of the string, int64 [n] each: source, where its tokens start in that source, and
    tokens in the block before it; `ends` has one entry more, the block's tokens."""

    sources: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


class DocumentSampler(Sampler):
    """Windows of a mixture of token sets, in shares of documents.

    sources, context, seed, max_epochs: as for `MixtureSampler`; an epoch is all documents of a
    source. shares: of documents, sum 1.
    """

    def __init__(
        self,
        sources: Mapping[str, TokenDataset],
        shares: Mapping[str, float],
        *,
        context: int,
        seed: int,
        max_epochs: float = 1.0,
    ) -> None:
        self.shares = dict(shares)
        self.schedule = ShareSchedule(shares)
        self.names = self.schedule.sources
        self.context = context
        self.seed = seed
        self.max_epochs = max_epochs
        self._sources = [sources[name] for name in self.schedule.sources]
        # Where documents start in their source, with the end of the last.
        self._borders = [
            np.concatenate([np.zeros(1, np.int64), np.cumsum(source.lengths())])
            for source in self._sources
        ]
        self._orders: dict[tuple[int, int], Permutation] = {}
        self._blocks: OrderedDict[int, _Block] = OrderedDict()
        # Tokens of the string, and of each source in it, before every block counted so far.
        self._before = [0]
        self._read = [np.zeros(len(self._sources), np.int64)]
        # The document of the string at which a source was found spent.
        self._spent_at: int | None = None

    def windows(self, numbers: np.ndarray) -> np.ndarray:
        found = np.empty((len(numbers), self.context + 1), dtype=np.int64)
        for row, number in zip(found, numbers.tolist(), strict=True):
            self._fill(row, number * self.context)
        return found

    def sources_of(self, numbers: np.ndarray) -> np.ndarray:
        return np.array([self._source_at(number * self.context) for number in numbers.tolist()])

    def _source_at(self, start: int) -> int:
        """The source of the document that the string's token `start` belongs to."""
        self._reach(start)
        number = bisect_right(self._before, start) - 1
        block = self._block(number)
        place = start - self._before[number]
        document = int(np.searchsorted(block.ends, place, side="right")) - 1
        return int(block.sources[document])

    def check(self, windows: int) -> None:
        self._reach(windows * self.context)

    def use(self, windows: int) -> list[SourceUse]:
        tokens, documents = self._used(windows * self.context)
        return [
            SourceUse(
                source=name,
                share_asked=self.shares[name],
                share_realised=int(tokens[place]) / max(windows * self.context, 1),
                tokens=int(tokens[place]),
                epochs=documents[name] / max(self._documents(place), 1),
            )
            for place, name in enumerate(self.schedule.sources)
        ]

    def identity(self) -> str:
        named = zip(self.schedule.sources, self._sources, strict=True)
        return digest_of(
            {
                "version": SAMPLER_VERSION,
                "by": "documents",
                "sources": {name: source.identity for name, source in named},
                "shares": self.shares,
                "context": self.context,
                "seed": self.seed,
            }
        )

    def _documents(self, source: int) -> int:
        return len(self._borders[source]) - 1

    def _fill(self, row: np.ndarray, start: int) -> None:
        """The tokens of the string from `start` on."""
        self._reach(start + len(row) - 1)
        number = bisect_right(self._before, start) - 1
        filled = 0
        while filled < len(row):
            block = self._block(number)
            place = start + filled - self._before[number]
            document = int(np.searchsorted(block.ends, place, side="right")) - 1
            while filled < len(row) and document < len(block.sources):
                place = start + filled - self._before[number]
                skip = place - int(block.ends[document])
                left = int(block.ends[document + 1]) - place
                take = min(left, len(row) - filled)
                first = int(block.starts[document]) + skip
                source = self._sources[int(block.sources[document])]
                row[filled : filled + take] = source.read(first, first + take)
                filled, document = filled + take, document + 1
            number += 1

    def _reach(self, position: int) -> None:
        """Count blocks until the token at `position` lies in one. Raises UsageError when a source
        is spent before."""
        while self._before[-1] <= position:
            number = len(self._before) - 1
            block = self._block(number)
            tokens = np.diff(block.ends)
            by_source = np.bincount(block.sources, tokens, minlength=len(self._sources))
            if len(tokens) < BLOCK and self._before[-1] + int(block.ends[-1]) <= position:
                raise UsageError(self._spent(position))
            self._before.append(self._before[-1] + int(block.ends[-1]))
            self._read.append(self._read[-1] + by_source.astype(np.int64))

    def _block(self, number: int) -> _Block:
        """Block `number`; it is shorter where a source is spent."""
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        sources, ranks = self.schedule.locate(np.arange(number * BLOCK, (number + 1) * BLOCK))
        have = np.array([self._documents(source) for source in range(len(self._sources))])
        spent = np.flatnonzero(ranks >= have[sources] * self.max_epochs)
        if spent.size:
            if self._spent_at is None:
                self._spent_at = number * BLOCK + int(spent[0])
            sources, ranks = sources[: spent[0]], ranks[: spent[0]]
        starts = np.empty(len(ranks), np.int64)
        lengths = np.empty(len(ranks), np.int64)
        for source, borders in enumerate(self._borders):
            rows = np.flatnonzero(sources == source)
            if rows.size:
                documents = self._permuted(source, ranks[rows])
                starts[rows] = borders[documents]
                lengths[rows] = borders[documents + 1] - borders[documents]
        block = _Block(sources, starts, np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]))
        self._blocks[number] = block
        if len(self._blocks) > BLOCKS_KEPT:
            self._blocks.popitem(last=False)
        return block

    def _permuted(self, source: int, ranks: np.ndarray) -> np.ndarray:
        epochs, places = np.divmod(ranks, self._documents(source))
        for epoch in np.unique(epochs).tolist():
            if (source, epoch) not in self._orders:
                name = self.schedule.sources[source]
                seed = derive_seed(self.seed, "documents", name, epoch)
                self._orders[source, epoch] = Permutation(self._documents(source), seed)
            rows = epochs == epoch
            places[rows] = self._orders[source, epoch](places[rows])
        return places

    def _used(self, tokens: int) -> tuple[np.ndarray, dict[str, int]]:
        """Tokens of each source, int64 [sources], and documents of each, whole or begun, in the
        first `tokens` tokens of the string."""
        self._reach(tokens)
        number = bisect_right(self._before, tokens) - 1
        block = self._block(number)
        inside = tokens - self._before[number]
        document = int(np.searchsorted(block.ends, inside, side="left"))
        taken = np.minimum(block.ends[1 : document + 1], inside) - block.ends[:document]
        part = np.bincount(block.sources[:document], taken, minlength=len(self._sources))
        counts = self.schedule.counts(number * BLOCK + document)
        return self._read[number] + part.astype(np.int64), counts

    def _spent(self, tokens: int) -> str:
        documents = self._spent_at
        assert documents is not None
        source = int(self.schedule.locate(np.array([documents]))[0][0])
        have, epochs = self._documents(source), self.max_epochs
        return (
            f"source {self.schedule.sources[source]!r} holds {have:,} documents, which are spent "
            f"after {documents:,} of the mixture, before its {tokens:,} tokens: lower the budget "
            "or the share, bring more data, or allow repetition with max_epochs: "
            f"{math.ceil(epochs) + 1} or more (now {epochs:g})"
        )
