"""A mixture with its end: the windows that a run of some budget reads, by number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synthlaw.tokens.sampler import Sampler
from synthlaw.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class Mixture:
    """Windows 0 to `windows` of a sampler, in training order.

    vocab: ids are below it. tokenizer: for formats that carry text; without it they carry none.
    """

    sampler: Sampler
    windows: int
    vocab: int
    tokenizer: Tokenizer | None = None

    @property
    def context(self) -> int:
        """Tokens that a window trains on."""
        return self.sampler.context

    @property
    def sources(self) -> Sequence[str]:
        """Names of the sources, by the numbers of `Sampler.sources_of`."""
        return self.sampler.names

    def texts(self, windows: np.ndarray) -> list[str | None]:
        """The windows' texts, without their last targets; None without a tokenizer."""
        if self.tokenizer is None:
            return [None] * len(windows)
        return [self.tokenizer.decode(row[:-1]) for row in windows]
