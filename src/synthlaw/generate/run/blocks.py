"""How a run's documents are cut to blocks: many small ones first, fewer and larger as it goes on.

A document that is read in several passes is one of them each time.

A block is the unit of work: one worker makes it, it is committed as a whole, and it becomes one
file of each kind. Its size is the one asked for, or a 64th of all documents before it, whichever
is more, up to LARGEST. So a run of any length has at most some hundreds of blocks for each doubling
until the blocks are large, and what a block adds beyond what was needed is under 2%. 400 million
documents make 6,600 blocks.
"""

from __future__ import annotations

from bisect import bisect_right

SHARE = 64
"""A block is at most this fraction (1/SHARE) of what stands before it, unless `size` is more."""

LARGEST = 65_536
"""Documents in the largest block, unless `size` is more."""


class Blocks:
    """The blocks of `documents` documents; a function of its two arguments alone."""

    def __init__(self, documents: int, size: int) -> None:
        """size: documents in the first blocks."""
        self.documents, self.size = documents, size
        self._starts = [0]
        while self._starts[-1] < documents:
            start = self._starts[-1]
            grown = min(LARGEST, start // SHARE)
            self._starts.append(min(documents, start + max(size, grown)))

    def __len__(self) -> int:
        """How many blocks there are."""
        return len(self._starts) - 1

    def bounds(self, number: int) -> tuple[int, int]:
        """First document of a block and the one after its last."""
        return self._starts[number], self._starts[number + 1]

    def length(self, number: int) -> int:
        """Documents of a block."""
        start, stop = self.bounds(number)
        return stop - start

    def covering(self, documents: float) -> int:
        """Blocks that it takes to hold the first `documents` documents."""
        if documents <= 0:
            return 0
        return min(len(self), bisect_right(self._starts, documents - 1e-9))
