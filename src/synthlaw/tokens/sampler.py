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
from synthlaw.tokens.shares import ShareSchedule

FEISTEL_ROUNDS = 6


class Permutation:
    """A seeded permutation of range(size) that is evaluated at one place in O(1) memory.

    A balanced Feistel network over the smallest even number of bits that holds `size`, walked
    until the value falls inside the range (Black and Rogaway 2002, cycle walking).
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self._half = max(1, math.ceil(max(size - 1, 1).bit_length() / 2))
        self._mask = (1 << self._half) - 1
        self._keys = [derive_seed(seed, "round", r) for r in range(FEISTEL_ROUNDS)]

    def __call__(self, place: int) -> int:
        """Where `place` (0 ≤ place < size) goes."""
        value = place
        while True:
            value = self._network(value)
            if value < self.size:
                return value

    def _network(self, value: int) -> int:
        left, right = value >> self._half, value & self._mask
        for key in self._keys:
            left, right = right, left ^ (_mix(right ^ key) & self._mask)
        return (left << self._half) | right


def _mix(value: int) -> int:
    """Finaliser of SplitMix64: every input bit reaches every output bit."""
    value = (value + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return value ^ (value >> 31)


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
        source, rank = self.schedule.locate(number)
        total = self._windows[source]
        if total == 0 or rank >= total * self.max_epochs:
            raise UsageError(self._spent(source, rank + 1))
        epoch, place = divmod(rank, total)
        start = self._order(source, epoch)(place) * self.context
        return np.asarray(
            self._sources[source].tokens[start : start + self.context + 1], dtype=np.int64
        )

    def batch(self, step: int, rows: int) -> np.ndarray:
        """Batch number `step` of `rows` windows: int64 [rows, context + 1]."""
        return np.stack([self.window(step * rows + row) for row in range(rows)])

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
