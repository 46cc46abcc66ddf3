"""How far a run is: what its finished blocks hold, what is still awaited, what may be begun.

The result of a run that needs a number of tokens is the shortest sequence of blocks, from the first
on, that holds them. Which block is done first, and by whom, changes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from synthlaw.generate.generated import sum_counts
from synthlaw.generate.run.blocks import Blocks
from synthlaw.generate.run.folder import Marker
from synthlaw.generate.run.target import NotEnoughError, Target

HOPELESS_AFTER_DOCUMENTS = 100
"""From so many source documents on, a run that the whole input would not half fill is given up:
whoever asks for tokens hands documents over in random order, so the first speak for the rest."""


class Standing:
    """The finished blocks of one run, seen against its target.

    each_pass: documents of one pass through the input, by default all. documents_done,
    tokens_done: source documents and kept tokens of all of them.
    """

    def __init__(self, name: str, blocks: Blocks, target: Target, each_pass: int = 0) -> None:
        self.each_pass = each_pass or blocks.documents
        self.name, self.blocks, self.target = name, blocks, target
        self.done: dict[int, Marker] = {}
        self.documents_done = self.tokens_done = 0
        self._lock = threading.Lock()

    def matches(self, block: int, marker: Marker) -> bool:
        """Whether a block was made from the documents that it is to be made from."""
        if block >= len(self.blocks) or self.blocks.bounds(block) != (marker.start, marker.stop):
            return False
        return marker.stop <= self.each_pass or marker.each_pass == self.each_pass

    def add(self, block: int, marker: Marker) -> None:
        """Take up a finished block, from any thread; one that does not match does not count."""
        with self._lock:
            if block not in self.done and self.matches(block, marker):
                self.documents_done += marker.source_documents
                self.tokens_done += self.tokens(marker)
                self.done[block] = marker

    def tokens(self, marker: Marker) -> int:
        """Kept tokens of a block."""
        if self.target.tokenizer:
            return marker.tokens[self.target.tokenizer]
        return int(marker.counts["document_tokens"])

    def _enough(self, tokens: float) -> bool:
        target = self.target
        return not target.whole and target.tokens is not None and tokens >= target.tokens

    def prefix(self) -> list[int]:
        """Blocks that are the run's result, as far as they are finished."""
        found: list[int] = []
        tokens = 0
        while len(found) in self.done and not self._enough(tokens):
            tokens += self.tokens(self.done[len(found)])
            found.append(len(found))
        return found

    def result(self) -> list[Marker]:
        """The finished blocks that are the run's result."""
        return [self.done[block] for block in self.prefix()]

    @property
    def have(self) -> int:
        """Kept tokens of the result so far."""
        return sum(self.tokens(marker) for marker in self.result())

    @property
    def complete(self) -> bool:
        """Whether the target is reached, or all documents have been asked about."""
        return len(self.prefix()) == len(self.blocks) or self._enough(self.have)

    @property
    def yields(self) -> float:
        """Kept tokens of a source document: of the finished blocks, or the guess before one is."""
        documents = self.documents_done
        return self.tokens_done / documents if documents else self.target.guess

    def wanted(self) -> Iterator[tuple[float, int]]:
        """Blocks that are not finished and are expected to be needed, in order.

        Each with the share of the target that is expected of all blocks before it.
        """
        expected, each = 0.0, self.yields
        for block in range(len(self.blocks)):
            if self._enough(expected):
                return
            if block in self.done:
                expected += self.tokens(self.done[block])
                continue
            start = self.blocks.bounds(block)[0]
            by_tokens = not self.target.whole and self.target.tokens
            yield expected / by_tokens if by_tokens else start / self.blocks.documents, block
            expected += each * self.blocks.length(block)

    def check_hope(self) -> None:
        """Raises NotEnoughError when what was kept so far says that the input will not do."""
        need, asked, limit = self.target.tokens, self.documents_done, self.blocks.documents
        if need is None or asked < HOPELESS_AFTER_DOCUMENTS:
            return
        have = self.tokens_done
        if 2 * have * limit < need * asked:
            raise self._not_enough(asked, have, list(self.done.values()))

    def check_enough(self) -> None:
        """Raises NotEnoughError when the run is complete and has too few tokens."""
        need = self.target.tokens
        if need is not None and self.have < need:
            raise self._not_enough(self.blocks.documents, self.have, self.result())

    def _not_enough(self, asked: int, have: int, blocks: list[Marker]) -> NotEnoughError:
        counts = sum_counts(marker.counts for marker in blocks)
        need = self.target.tokens or 0
        return NotEnoughError(self.name, asked, self.blocks.documents, have, need, counts)
