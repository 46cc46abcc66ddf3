"""The mixture sampler: (seed, step, row) to a token window, as a pure function.

A source's tokens are cut into windows of `context` tokens, and read in one seeded permutation
of its windows. Window g of a mixture comes from the source that the share schedule names, at
that source's next rank. So any window is found in O(1), whatever the world size or the number
of workers; a smaller budget is a prefix of a larger one; and two mixtures read the windows of a
shared source in the same order, which makes their comparison a paired one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import UsageError
from synthlaw.common.seeds import derive_seed
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.permutation import Permutation
from synthlaw.tokens.shares import ShareSchedule


@dataclass(frozen=True)
class SourceUse:
    """What a run reads of one source: tokens read, and tokens read over tokens there."""

    source: str
    share_asked: float
    share_realised: float
    tokens: int
    epochs: float


class MixtureSampler:
    """Windows of a mixture of token sets.

    sources: token set of each source named in `shares`. shares: exact token shares, sum 1.
    context: tokens per window (each window carries one more, the last target).
    seed: of the reading order. max_epochs: how often a source may be read; a window beyond that
    is refused.
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
        self.context = context
        self.seed = seed
        self.max_epochs = max_epochs
        self._sources = {name: sources[name] for name in self.schedule.sources}
        self._windows = {
            name: windows_of(source.manifest.tokens, context)
            for name, source in self._sources.items()
        }
        self._orders: dict[tuple[str, int], Permutation] = {}

    def window(self, number: int) -> np.ndarray:
        """Window `number` of the mixture: int64 [context + 1] of token ids.

        Raises UsageError when the source is spent (see `check`).
        """
        row: np.ndarray = self.windows(np.array([number]))[0]
        return row

    def windows(self, numbers: np.ndarray) -> np.ndarray:
        """Windows `numbers` of the mixture: int64 [len(numbers), context + 1], in that order."""
        found = np.empty((len(numbers), self.context + 1), dtype=np.int64)
        sources, ranks = self.schedule.locate(numbers)
        for number, source in enumerate(self.schedule.sources):
            rows = np.flatnonzero(sources == number)
            if rows.size:
                starts = self._places(source, ranks[rows]) * self.context
                found[rows] = self._sources[source].windows(starts, self.context + 1)
        return found

    def batch(self, step: int, rows: int, *, rank: int = 0, world: int = 1) -> np.ndarray:
        """Batch number `step` of `rows` windows: int64 [rows, context + 1].

        rank, world: the part of it that is rank's among `world` processes; the parts of all, one
        after the other, are the batch, whether or not `world` divides `rows`.
        """
        first, last = rows * rank // world, rows * (rank + 1) // world
        return self.windows(np.arange(step * rows + first, step * rows + last))

    def _places(self, source: str, ranks: np.ndarray) -> np.ndarray:
        """Which windows of a source are read at `ranks` of its reading order."""
        total = self._windows[source]
        furthest = int(ranks.max())
        if total == 0 or furthest >= total * self.max_epochs:
            raise UsageError(self._spent(source, furthest + 1))
        epochs, places = np.divmod(ranks, total)
        for epoch in np.unique(epochs).tolist():
            rows = epochs == epoch
            places[rows] = self._order(source, epoch)(places[rows])
        return places

    def check(self, windows: int) -> None:
        """Raise UsageError when the first `windows` windows repeat a source too often."""
        for source, count in self.schedule.counts(windows).items():
            if count > self._windows[source] * self.max_epochs:
                raise UsageError(self._spent(source, count))

    def use(self, windows: int) -> list[SourceUse]:
        """Realised shares and epochs of every source over the first `windows` windows."""
        counts = self.schedule.counts(windows)
        return [
            SourceUse(
                source=name,
                share_asked=self.shares[name],
                share_realised=count / max(windows, 1),
                tokens=count * self.context,
                epochs=count / max(self._windows[name], 1),
            )
            for name, count in counts.items()
        ]

    def identity(self) -> str:
        """Digest of all that determines the windows."""
        return digest_of(
            {
                "sources": {name: s.identity for name, s in self._sources.items()},
                "shares": self.shares,
                "context": self.context,
                "seed": self.seed,
            }
        )

    def _order(self, source: str, epoch: int) -> Permutation:
        if (source, epoch) not in self._orders:
            seed = derive_seed(self.seed, "order", source, epoch)
            self._orders[source, epoch] = Permutation(self._windows[source], seed)
        return self._orders[source, epoch]

    def _spent(self, source: str, needed: int) -> str:
        have = self._windows[source]
        return (
            f"source {source!r} holds {have * self.context:,} tokens ({have:,} windows of "
            f"{self.context}), and {needed * self.context:,} are needed: lower the budget or the "
            f"share, bring more data, or allow repetition with max_epochs: "
            f"{math.ceil(needed / max(have, 1))} (now {self.max_epochs:g})"
        )


def windows_of(tokens: int, context: int) -> int:
    """Whole windows in `tokens` tokens; each needs one token beyond it as the last target."""
    return max(0, (tokens - 1) // context)
