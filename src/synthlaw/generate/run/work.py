"""One run as one worker carries it out: which block is next, what came of it, its commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from synthlaw.common.claims import Claims
from synthlaw.common.errors import SynthlawError
from synthlaw.corpus.documents import Document
from synthlaw.generate.engines.base import Engine
from synthlaw.generate.keywords import KeywordPool
from synthlaw.generate.requests import ProgressCallback
from synthlaw.generate.rollouts import RolloutMaker
from synthlaw.generate.run.block import OpenBlock, tokens_in
from synthlaw.generate.run.folder import Marker, RunFolder
from synthlaw.generate.run.progress import RunProgress
from synthlaw.generate.run.standing import Standing
from synthlaw.generate.run.target import TokenCounter


class RunWork:
    """A worker's view of a run, and its part in it."""

    def __init__(
        self,
        name: str,
        folder: RunFolder,
        engine: Engine,
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
        self.name, self.folder, self.target = name, folder, folder.target
        self._mix, self._engine, self._counter = folder.mix, engine, counter
        self._pool, self._verify = pool, verify
        self.rollouts = folder.mix.common.rollouts
        self.standing = Standing(name, folder.blocks, folder.target, folder.each_pass)
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

    def join(self) -> None:
        """Be alive from now on, for other workers to see."""
        self._claims = Claims(self.folder.root)

    @property
    def claims(self) -> Claims:
        """This worker's claims, once it has joined."""
        assert self._claims is not None, "join comes first"
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
        tokens = tokens_in(self.folder.part("documents", block), self._counter)
        counted = replace(marker, tokens=marker.tokens | {self.target.tokenizer: tokens})
        self.folder.note_tokens(block, counted)
        return counted

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
        marker = self.folder.marker(block, verify=self._verify)
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
        return OpenBlock(self.folder, block, self.rollouts, self.claims.worker)

    def _make_makers(self) -> list[RolloutMaker]:
        keyed = any(one.recipe.seeds == "keywords" for one in self._mix.settings)
        pool = self._pool() if keyed and self._pool else None
        return [
            RolloutMaker(settings, self._engine, self.progress.own, self.report, pool)
            for settings in self._mix.settings
        ]

    def asked(self, block: OpenBlock) -> Iterator[tuple[int, Document]]:
        """What the block is made of: a document's rollouts by number, document after document.

        To be read to the end before the next block's.
        """
        for number, document in self.folder.documents_of(block.start, block.stop):
            for one in range(number * self.rollouts, (number + 1) * self.rollouts):
                yield one, document

    async def make(self, block: OpenBlock, place: int, number: int, document: Document) -> bool:
        """Make what stands at `place` of the block, rollout `number` of `document`; whether it was
        the last."""
        choice = self._mix.choice(document.id, number)
        result = await self._makers[choice].make(document, number, block.journal)
        self.progress.open += 1
        return block.add(place, self._mix.settings[choice].recipe.name, result)

    def finish(self, block: OpenBlock) -> Marker:
        """Commit a block whose rollouts are all done.

        Raises SynthlawError when too many failed, or when another worker has taken it over.
        """
        marker = block.close(self._counter)
        if not self.claims.holds(block.number):
            raise SynthlawError(
                f"block {block.number} was taken over by another worker while this one stood "
                "still; run again to go on"
            )
        block.check_failures(self.name, marker, self.target.max_failed)
        block.commit(marker)
        return marker

    def finished(self, block: OpenBlock, marker: Marker) -> None:
        """Take up a block that this worker has committed."""
        self.claims.release(block.number)
        self._open.discard(block.number)
        self._retry.discard(block.number)
        self.standing.add(block.number, marker)
        self.made.append(block.number)
        self.progress.open -= block.size
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
