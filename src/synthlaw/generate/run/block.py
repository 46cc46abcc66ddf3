"""A block that a worker has claimed: what came of its rollouts so far."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from synthlaw.common.errors import SynthlawError
from synthlaw.corpus.documents import read_documents
from synthlaw.generate.generated import Generated, sum_counts
from synthlaw.generate.run.folder import Marker, RunFolder, part_name
from synthlaw.generate.run.journal import BlockJournal
from synthlaw.generate.run.target import TokenCounter

_COUNTED_AT_ONCE = 256


class OpenBlock:
    """One block being made, from its claim to its commit.

    start, stop: its source documents. left: rollouts that are not done. journal: of its
    completions.
    """

    def __init__(self, folder: RunFolder, number: int, rollouts: int, worker: str) -> None:
        """rollouts: of each document. worker: who holds the claim."""
        self.number, self._folder, self._rollouts = number, folder, rollouts
        self.start, self.stop = folder.blocks.bounds(number)
        self.left = self.size = (self.stop - self.start) * rollouts
        earlier = folder.journals(number)
        self.journal = BlockJournal(folder.journal(number, worker), earlier)
        self._writer = folder.writer(number, worker)

    def add(self, rollout: int, recipe: str, result: Generated) -> bool:
        """Take what came of its rollout number `rollout`; whether it was the last."""
        self._writer.add(rollout, recipe, result)
        if not result.failed:  # what failed is asked for again when the block is reopened
            self.journal.finish(rollout)
        self.left -= 1
        return self.left == 0

    def close(self, counter: TokenCounter | None) -> Marker:
        """Bring everything to disk; what is to be known of the block."""
        self.journal.close()
        parts = self._writer.finish(part_name(self.number))
        tokens = {}
        if counter is not None:
            path = self._writer.parts["documents"].path
            tokens = {counter.digest: tokens_in(path, counter)}
        recipes = {name: self._writer.by_recipe[name] for name in sorted(self._writer.by_recipe)}
        counts = sum_counts(recipes.values())
        each_pass = self._folder.each_pass
        return Marker(self.start, self.stop, parts, counts, recipes, tokens, each_pass)

    def check_failures(self, name: str, marker: Marker, allowed: float | None) -> None:
        """Raises SynthlawError when more than this share of the rollouts failed.

        The block is not kept then; what was completed stays in its journal.
        """
        failed, documents = marker.counts["failed"], marker.source_documents
        if allowed is None or failed <= allowed * self.size:
            return
        reasons = marker.counts["failed_by_reason"].items()
        listed = ", ".join(f"{count} with {why}" for why, count in reasons)
        raise SynthlawError(
            f"{name}: {failed} requests failed for block {self.number} of {documents} documents "
            f"({listed}). What was answered is kept: run again to try the failed ones once more, "
            "or allow a share of failures with generate.max_failed"
        )

    def commit(self, marker: Marker) -> None:
        """Make it final."""
        self._folder.commit(self.number, self._writer, marker)


def tokens_in(path: Path, counter: TokenCounter) -> int:
    """Tokens of all texts in a file of documents."""
    total, texts = 0, (document.text for document in read_documents(path))
    while some := list(islice(texts, _COUNTED_AT_ONCE)):
        total += counter.count(some)
    return total
