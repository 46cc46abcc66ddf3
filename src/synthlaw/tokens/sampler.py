"""The mixture sampler: (seed, step, row) to a token window, as a pure function.

A source's tokens are cut into windows of `context` tokens, and read in one seeded permutation
of its windows. Window g of a mixture comes from the source that the share schedule names, at
that source's next rank. So any window is found in O(1), whatever the world size or the number
of workers; a smaller budget is a prefix of a larger one; and two mixtures read the windows of a
shared source in the same order, which makes their comparison a paired one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import UsageError
from synthlaw.common.permutation import Permutation
from synthlaw.common.seeds import derive_seed
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.shares import Shares, ShareSchedule, phases_of

SAMPLER_VERSION = 2
"""Raised when the same sampler would give other windows."""

ORDER_BLOCK = 1024
"""Ranks whose places are worked out at once: it takes hardly longer than for a few of them."""


@dataclass(frozen=True)
class SourceUse:
    """What a run reads of one source: tokens read, and tokens read over tokens there."""

    source: str
    share_asked: float
    share_realised: float
    tokens: int
    epochs: float


class Sampler(ABC):
    """Windows of a mixture by number, and batches by step.

    context: tokens per window. names: of the sources, by the numbers of `sources_of`.
    """

    context: int
    names: Sequence[str]

    @abstractmethod
    def windows(self, numbers: np.ndarray) -> np.ndarray:
        """Windows `numbers` of the mixture: int64 [len(numbers), context + 1] of token ids, in
        that order; the last id of a window is its last target.

        Raises UsageError when a source is spent (see `check`).
        """

    @abstractmethod
    def sources_of(self, numbers: np.ndarray) -> np.ndarray:
        """The source of each window, int64 [len(numbers)]; of several, where it begins."""

    @abstractmethod
    def check(self, windows: int) -> None:
        """Raise UsageError when the first `windows` windows repeat a source too often."""

    @abstractmethod
    def use(self, windows: int) -> list[SourceUse]:
        """Realised shares and epochs of every source over the first `windows` windows."""

    @abstractmethod
    def identity(self) -> str:
        """Digest of all that determines the windows."""

    def window(self, number: int) -> np.ndarray:
        """Window `number` of the mixture: int64 [context + 1]."""
        row: np.ndarray = self.windows(np.array([number]))[0]
        return row

    def batch(self, step: int, rows: int, *, rank: int = 0, world: int = 1) -> np.ndarray:
        """Batch number `step` of `rows` windows: int64 [rows, context + 1].

        rank, world: the part of it that is rank's among `world` processes; the parts of all, one
        after the other, are the batch, whether or not `world` divides `rows`.
        """
        first, last = rows * rank // world, rows * (rank + 1) // world
        return self.windows(np.arange(step * rows + first, step * rows + last))


class MixtureSampler(Sampler):
    """Windows of a mixture of token sets, in exact shares of tokens.

    sources: token set of each source named in `shares`. shares: constant, sum 1, or phases (see
    shares.py). seed: of the reading order. max_epochs: how often a source may be read; a window
    beyond that is refused. unique: tokens of a source that are read at all, the first of its
    reading order, so that a smaller number is a part of a larger one; with it repetition is set
    apart from budget. Sources that are not in it are read whole.
    """

    def __init__(
        self,
        sources: Mapping[str, TokenDataset],
        shares: Shares,
        *,
        context: int,
        seed: int,
        max_epochs: float = 1.0,
        unique: Mapping[str, float] | None = None,
    ) -> None:
        self.schedule = ShareSchedule(shares)
        self.names = self.schedule.sources
        self.context = context
        self.seed = seed
        self.max_epochs = max_epochs
        self._phases = [[phase.start, dict(phase.shares)] for phase in phases_of(shares)]
        self._sources = {name: sources[name] for name in self.schedule.sources}
        self._whole = {
            name: windows_of(source.manifest.tokens, context)
            for name, source in self._sources.items()
        }
        self._windows = {name: self._part(name, (unique or {}).get(name)) for name in self._sources}
        self._orders: dict[tuple[str, int], Permutation] = {}
        self._blocks: dict[tuple[str, int], np.ndarray] = {}

    def windows(self, numbers: np.ndarray) -> np.ndarray:
        found = np.empty((len(numbers), self.context + 1), dtype=np.int64)
        sources, ranks = self.schedule.locate(numbers)
        for number, source in enumerate(self.schedule.sources):
            rows = np.flatnonzero(sources == number)
            if rows.size:
                starts = self._places(source, ranks[rows]) * self.context
                self._sources[source].fill(found, rows, starts)
        return found

    def sources_of(self, numbers: np.ndarray) -> np.ndarray:
        return self.schedule.locate(numbers)[0]

    def check(self, windows: int) -> None:
        for source, count in self.schedule.counts(windows).items():
            if count > self._windows[source] * self.max_epochs:
                raise UsageError(self._spent(source, count))

    def use(self, windows: int) -> list[SourceUse]:
        asked = self.schedule.asked(windows)
        return [
            SourceUse(
                source=name,
                share_asked=float(asked[name] / max(windows, 1)),
                share_realised=count / max(windows, 1),
                tokens=count * self.context,
                epochs=count / max(self._windows[name], 1),
            )
            for name, count in self.schedule.counts(windows).items()
        ]

    def identity(self) -> str:
        return digest_of(
            {
                "version": SAMPLER_VERSION,
                "sources": {name: s.identity for name, s in self._sources.items()},
                "phases": self._phases,
                "windows": self._windows,
                "context": self.context,
                "seed": self.seed,
            }
        )

    def _part(self, source: str, unique: float | None) -> int:
        """Windows of a source that are read at all."""
        have = self._whole[source]
        if unique is None:
            return have
        wanted = int(unique // self.context)
        if not 1 <= wanted <= have:
            raise UsageError(
                f"unique tokens of {source!r}: found {unique:,.0f}, {wanted:,} windows of "
                f"{self.context}; expected from one window to the {have * self.context:,} tokens "
                "that the source holds"
            )
        return wanted

    def _places(self, source: str, ranks: np.ndarray) -> np.ndarray:
        """Which windows of a source are read at `ranks` of its reading order."""
        furthest = int(ranks.max())
        if furthest >= self._windows[source] * self.max_epochs:
            raise UsageError(self._spent(source, furthest + 1))
        first, last = int(ranks.min()) // ORDER_BLOCK, furthest // ORDER_BLOCK
        if last > first + 1:  # not a batch: windows from all over
            return self._permuted(source, ranks)
        places = np.concatenate([self._block(source, n) for n in range(first, last + 1)])
        found: np.ndarray = places[ranks - first * ORDER_BLOCK]
        return found

    def _block(self, source: str, number: int) -> np.ndarray:
        """The places of one block of ranks, kept for the batches to come."""
        found = self._blocks.get((source, number))
        if found is None:
            while len(self._blocks) >= 4 * len(self._sources):
                del self._blocks[next(iter(self._blocks))]
            ranks = np.arange(number * ORDER_BLOCK, (number + 1) * ORDER_BLOCK)
            found = self._blocks[source, number] = self._permuted(source, ranks)
        return found

    def _permuted(self, source: str, ranks: np.ndarray) -> np.ndarray:
        """The places at `ranks`, worked out.

        The first epoch reads the first windows of a permutation of the whole source; a later one
        reads those again in an order of its own.
        """
        part = self._windows[source]
        epochs, places = np.divmod(ranks, part)
        for epoch in np.unique(epochs).tolist():
            if epoch:
                rows = epochs == epoch
                places[rows] = self._order(source, epoch, part)(places[rows])
        return self._order(source, 0, self._whole[source])(places)

    def _order(self, source: str, epoch: int, size: int) -> Permutation:
        if (source, epoch) not in self._orders:
            seed = derive_seed(self.seed, "order", source, epoch)
            self._orders[source, epoch] = Permutation(size, seed)
        return self._orders[source, epoch]

    def _spent(self, source: str, needed: int) -> str:
        have, whole = self._windows[source], self._whole[source]
        held = f"{have * self.context:,} tokens ({have:,} windows of {self.context}"
        held += f", of {whole:,} that it holds)" if have < whole else ")"
        return (
            f"source {source!r} holds {held}, and {needed * self.context:,} are needed: lower the "
            "budget or the share, bring more data, or allow repetition with max_epochs: "
            f"{math.ceil(needed / max(have, 1))} (now {self.max_epochs:g})"
        )


def windows_of(tokens: int, context: int) -> int:
    """Whole windows in `tokens` tokens; each needs one token beyond it as the last target."""
    return max(0, (tokens - 1) // context)
