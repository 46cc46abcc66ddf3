"""One run as one worker carries it out: which block is next, what came of it, its commit."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from synthlaw.common.errors import SynthlawError
from synthlaw.corpus.documents import Document, read_documents
from synthlaw.generate.engines.base import Engine
from synthlaw.generate.keywords import KeywordPool
from synthlaw.generate.mixing import RecipeMix
from synthlaw.generate.requests import Progress, ProgressCallback
from synthlaw.generate.rollouts import RolloutMaker
from synthlaw.generate.run.claims import Claims
from synthlaw.generate.run.folder import Marker, RunFolder, part_name
from synthlaw.generate.run.journal import BlockJournal
from synthlaw.generate.run.standing import Standing
from synthlaw.generate.run.target import Target, TokenCounter
from synthlaw.generate.run.writing import BlockWriter

READ_AT_ONCE = 64
COUNTED_AT_ONCE = 256


@dataclass
class RunProgress:
    """What a worker can say of a run.

    total, finished: rollouts that are expected to be needed, and those in finished blocks, whoever
    made them. open: those done in this worker's open blocks. own: counts of this worker since its
    start. in_flight: requests by server. waiting: those that wait for a place, or for their next
    try. blocks, blocks_left: finished ones, and ones that are expected to be needed.
    """

    name: str
    total: int = 0
    finished: int = 0
    open: int = 0
    own: Progress = field(default_factory=Progress)
    in_flight: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    blocks: int = 0
    blocks_left: int = 0

    @property
    def done(self) -> int:
        """Rollouts in finished blocks, and so far in this worker's open ones."""
        return self.finished + self.open

    @property
    def tokens_per_second(self) -> float:
        """Completion tokens per second of this worker since its start."""
        seconds = max(time.monotonic() - self.own.started, 1e-9)
        return self.own.completion_tokens / seconds

    def news(self) -> dict[str, Any]:
        """For the heartbeat: counts and rates of this worker alone."""
        return {
            "documents": self.own.documents,
            "requests": self.own.requests,
            "failed": self.own.failed,
            "completion_tokens": self.own.completion_tokens,
            "tokens_per_second": round(self.tokens_per_second, 1),
            "open": self.open,
            "in_flight": self.in_flight,
            "waiting": self.waiting,
        }


@dataclass
class OpenBlock:
    """A block that this worker has claimed. left: rollouts that are not done."""

    number: int
    start: int
    stop: int
    journal: BlockJournal
    writer: BlockWriter
    left: int


class RunWork:
    """A worker's view of a run, and its part in it."""

    def __init__(
        self,
        name: str,
        mix: RecipeMix,
        engine: Engine,
        folder: RunFolder,
        target: Target,
        *,
        counter: TokenCounter | None = None,
        pool: Callable[[], KeywordPool] | None = None,
        retry_failed: bool = False,
        verify: bool = False,
    ) -> None:
        """name: for messages. counter: of the target's tokens, by its tokenizer. pool: of the
        input's keywords, asked for when a recipe needs it. retry_failed: finished blocks with
        failures are made again. verify: compare finished files by SHA-256.
        """
        self.name, self.folder, self.target = name, folder, target
        self._mix, self._engine, self._counter = mix, engine, counter
        self._pool, self._verify = pool, verify
        self.rollouts = mix.common.rollouts
        self.standing = Standing(name, folder.blocks, target)
        self.progress = RunProgress(name)
        self.made: list[int] = []
        self.report: ProgressCallback = lambda progress: None
        self._claims: Claims | None = None
        self._makers: list[RolloutMaker] = []
        self._open: set[int] = set()
        self._retry: set[int] = set()
        if retry_failed:
            self._retry = {n for n, marker in folder.markers() if marker.counts["failed"]}
        self.look()

    @property
    def claims(self) -> Claims:
        """This worker's claims; it is alive from the first use on."""
        if self._claims is None:
            self._claims = Claims(self.folder.root)
        return self._claims

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do, by anyone."""
        return not self._retry and self.standing.complete

    def look(self) -> None:
        """Take up blocks that were finished since the last look, by whomever."""
        for block in sorted(self.folder.marked() - set(self.standing.done)):
            marker = self.folder.marker(block, verify=self._verify)
            if marker is not None and block not in self._retry:
                self.standing.add(block, self._counted(block, marker))
        self._count()

    def _counted(self, block: int, marker: Marker) -> Marker:
        """The marker with the tokens of our counter."""
        if self._counter is None or self.target.tokenizer in marker.tokens:
            return marker
        tokens = self._count_tokens(self.folder.part("documents", block))
        counted = replace(marker, tokens=marker.tokens | {self.target.tokenizer: tokens})
        self.folder.note_tokens(block, counted)
        return counted

    def _count_tokens(self, path: Path) -> int:
        assert self._counter is not None
        total, texts = 0, (document.text for document in read_documents(path))
        while some := list(islice(texts, COUNTED_AT_ONCE)):
            total += self._counter.count(some)
        return total

    def _count(self) -> None:
        progress, standing = self.progress, self.standing
        wanted = [block for _, block in standing.wanted()]
        left = sum(standing.blocks.length(block) for block in wanted)
        progress.finished = standing.documents_done * self.rollouts
        progress.total = progress.finished + left * self.rollouts
        progress.blocks, progress.blocks_left = len(standing.done), len(wanted)

    def candidates(self) -> Iterator[tuple[float, int]]:
        """Blocks that may be begun: (share of the target that stands before it, number)."""
        return (one for one in self.standing.wanted() if one[1] not in self._open)

    def claim(self, block: int) -> bool:
        """Whether the block is this worker's to make."""
        if not self.claims.take(block):
            return False
        # Between the last look and the claim another worker may have finished it.
        marker = self.folder.marker(block)
        if marker is not None and self.standing.matches(block, marker):
            again = block in self._retry and marker.counts["failed"]
            if not again:
                self.claims.release(block)
                self._retry.discard(block)
                self.look()
                return False
        self._open.add(block)
        return True

    def open(self, block: int) -> OpenBlock:
        """Begin a claimed block, or go on with it."""
        if not self._makers:
            self._makers = self._make_makers()
        start, stop = self.standing.blocks.bounds(block)
        worker = self.claims.worker
        earlier = self.folder.journals(block)
        journal = BlockJournal(self.folder.journal(block, worker), earlier)
        writer = self.folder.writer(block, worker)
        left = (stop - start) * self.rollouts
        return OpenBlock(block, start, stop, journal, writer, left)

    def _make_makers(self) -> list[RolloutMaker]:
        keyed = any(one.recipe.seeds == "keywords" for one in self._mix.settings)
        pool = self._pool() if keyed and self._pool else None
        return [
            RolloutMaker(settings, self._engine, self.progress.own, self.report, pool)
            for settings in self._mix.settings
        ]

    def documents(self, block: OpenBlock) -> Iterator[Document]:
        """The block's source documents; to be read to the end before the next block's."""
        return self.folder.inputs.range(block.start, block.stop)

    async def make(self, block: OpenBlock, place: int, document: Document) -> bool:
        """Make the block's rollout number `place`, of `document`; whether it was the last."""
        number = place % self.rollouts
        choice = self._mix.choice(document.id, number)
        result = await self._makers[choice].make(document, number, block.journal)
        block.writer.add(place, self._mix.settings[choice].recipe.name, result)
        block.journal.finish(place)
        block.left -= 1
        self.progress.open += 1
        return block.left == 0

    def finish(self, block: OpenBlock) -> Marker:
        """Commit a block whose rollouts are all done.

        Raises SynthlawError when too many failed, or when another worker has taken it over.
        """
        block.journal.close()
        parts = block.writer.finish(part_name(block.number))
        tokens = {}
        if self._counter is not None:
            path = block.writer.parts["documents"].path
            tokens = {self.target.tokenizer: self._count_tokens(path)}
        counts, recipes = block.writer.counts, block.writer.by_recipe
        recipes = {name: recipes[name] for name in sorted(recipes)}
        marker = Marker(block.start, block.stop, parts, counts, recipes, tokens)
        if not self.claims.holds(block.number):
            raise SynthlawError(
                f"block {block.number} was taken over by another worker while this one stood "
                "still; run again to go on"
            )
        self._check_failures(block, marker)
        self.folder.commit(block.number, block.writer, marker)
        return marker

    def _check_failures(self, block: OpenBlock, marker: Marker) -> None:
        """A block with too many failures is not kept; what was completed stays in its journal."""
        allowed, documents = self.target.max_failed, marker.source_documents
        failed = marker.counts["failed"]
        if allowed is None or failed <= allowed * documents * self.rollouts:
            return
        reasons = marker.counts["failed_by_reason"].items()
        listed = ", ".join(f"{count} with {why}" for why, count in reasons)
        raise SynthlawError(
            f"{self.name}: {failed} requests failed for block {block.number} of {documents} "
            f"documents ({listed}). What was answered is kept: run again to try the failed ones "
            "once more, or allow a share of failures with generate.max_failed"
        )

    def finished(self, block: OpenBlock, marker: Marker) -> None:
        """Take up a block that this worker has committed."""
        self.claims.release(block.number)
        self._open.discard(block.number)
        self._retry.discard(block.number)
        self.standing.add(block.number, marker)
        self.made.append(block.number)
        self.progress.open -= (block.stop - block.start) * self.rollouts
        self._count()

    def leave(self) -> None:
        """Go: claims become free, and what this worker did is on record."""
        for left in (self.folder.root / "writing").glob(f"*-{self.claims.worker}-*"):
            left.unlink(missing_ok=True)
        self.claims.leave(self.progress.news())

    def check_rules(self) -> None:
        """Raises SynthlawError when rules broke on more completions than is tolerable."""
        for maker in self._makers:
            maker.check_rules()


async def in_pieces(
    documents: Iterator[Document], run: Callable[..., Any]
) -> AsyncIterator[Document]:
    """Documents, read some at a time by `run` (asyncio.to_thread), off the event loop."""
    while some := await run(list, islice(documents, READ_AT_ONCE)):
        for document in some:
            yield document
