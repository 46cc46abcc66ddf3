"""Running a folder: feed documents block by block to the engine, commit each block when it is done.

The feed never waits for a block to finish before it opens the next, so the engine stays busy over
the borders; at most a few blocks are open, so memory does not grow with the input.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from synthlaw.common.claims import HEARTBEAT_SECONDS, Claims
from synthlaw.common.errors import SynthlawError
from synthlaw.corpus.documents import Document
from synthlaw.generate.engines.base import Engine
from synthlaw.generate.keywords import KeywordPool
from synthlaw.generate.mixing import RecipeMix
from synthlaw.generate.run.card import Reporting, write_card
from synthlaw.generate.run.folder import RunFolder, survey
from synthlaw.generate.run.journal import BlockJournal
from synthlaw.generate.runner import run_workers
from synthlaw.generate.session import Session
from synthlaw.generate.settings import Generated, Progress

BLOCK_SIZE = 500
"""Documents per output file."""

SHOW_SECONDS = 0.2
"""Between two calls of `on_progress`: thousands of answers a second need not all be drawn."""


@dataclass
class FolderProgress:
    """What a worker can say of a run.

    total, done: answers wanted and there (documents times rollouts), whoever made them.
    session: counts of this worker since its start. in_flight: requests by server. waiting: those
    that wait for a place, or for their next try.
    """

    total: int = 0
    finished: int = 0
    open: int = 0
    session: Progress = field(default_factory=Progress)
    in_flight: dict[str, int] = field(default_factory=dict)
    waiting: int = 0

    @property
    def done(self) -> int:
        """In finished blocks, and so far in this worker's open ones."""
        return self.finished + self.open

    @property
    def tokens_per_second(self) -> float:
        """Completion tokens per second of this worker since its start."""
        seconds = max(time.monotonic() - self.session.started, 1e-9)
        return self.session.completion_tokens / seconds

    def news(self) -> dict[str, Any]:
        """For the heartbeat: counts and rates of this worker alone."""
        return {
            "documents": self.session.documents,
            "requests": self.session.requests,
            "failed": self.session.failed,
            "completion_tokens": self.session.completion_tokens,
            "tokens_per_second": round(self.tokens_per_second, 1),
            "open": self.open,
            "in_flight": self.in_flight,
            "waiting": self.waiting,
        }


class _Block:
    """An open block: what came of each unit so far, and the journal beneath."""

    def __init__(self, number: int, units: list[tuple[Document, int]], journal: BlockJournal):
        self.number, self.units, self.journal = number, units, journal
        self.results: dict[int, Generated] = {}

    @property
    def whole(self) -> Generated | None:
        """Everything in input order once the last unit is in."""
        if len(self.results) < len(self.units):
            return None
        result = Generated()
        for place in range(len(self.units)):
            result.extend(self.results[place])
        return result


@dataclass(frozen=True)
class FolderOutcome:
    """What stands in the folder after a run. counts: of all finished blocks; see RunFolder."""

    key: str
    root: Path
    counts: dict[str, Any]
    requests: int
    seconds: float
    completion_tokens: int


def run_folder(
    mix: RecipeMix,
    engine: Engine,
    inputs: list[Path],
    out: Path,
    *,
    block_size: int = BLOCK_SIZE,
    retry_failed: bool = False,
    reporting: Reporting | None = None,
    on_progress: Callable[[FolderProgress], None] | None = None,
) -> FolderOutcome:
    """Generate from all documents of `inputs` into `out`; what is there already is not redone.

    Returns when every block of the run is finished, by this worker or by others on the same
    folder. Raises UsageError for unusable input or folder, SynthlawError when the engine breaks;
    failed requests are counted, not raised.
    """
    surveyed = survey(inputs)
    pool = None
    if any(one.recipe.seeds == "keywords" for one in mix.settings):
        pool = KeywordPool(surveyed.read(), mix.common.seed)

    async def run() -> FolderOutcome:
        async with engine:
            folder = RunFolder(out, mix, engine, surveyed, block_size)
            worker = _Worker(mix, engine, folder, pool, retry_failed, on_progress)
            outcome = await worker.run()
        write_card(folder, mix.recipes, reporting or Reporting())
        return outcome

    return asyncio.run(run())


class _Reader:
    """Blocks of the input by number; going forward reads on, going back starts over."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder, self._at = folder, 0
        self._stream = iter(folder.inputs.read())

    def block(self, number: int) -> list[Document]:
        """Documents of one block."""
        if number < self._at:
            self._at, self._stream = 0, iter(self._folder.inputs.read())
        size = self._folder.block_size
        for _ in islice(self._stream, (number - self._at) * size):
            pass
        self._at = number + 1
        return list(islice(self._stream, size))


class _Worker:
    """This process's share of a run."""

    def __init__(
        self,
        mix: RecipeMix,
        engine: Engine,
        folder: RunFolder,
        pool: KeywordPool | None,
        retry_failed: bool,
        on_progress: Callable[[FolderProgress], None] | None,
    ) -> None:
        self._mix, self._engine, self._folder = mix, engine, folder
        self._rollouts = mix.common.rollouts
        self._on_progress = on_progress
        self._progress = FolderProgress(total=folder.inputs.documents * self._rollouts)
        self._sessions = [
            Session(settings, engine, self._progress.session, self._report, pool)
            for settings in mix.settings
        ]
        self._shown = 0.0
        self._claims = Claims(folder.root)
        self._reader = _Reader(folder)
        self._pending = list(range(folder.blocks))
        self._retry = set(self._with_failures()) if retry_failed else set[int]()
        self._look_again()

    async def run(self) -> FolderOutcome:
        began = time.monotonic()
        pulse = asyncio.create_task(self._beat())
        feed, lock = self._feed(), asyncio.Lock()

        async def work() -> None:
            while True:
                async with lock:
                    taken = await anext(feed, None)
                if taken is None:
                    return
                await self._one(*taken)

        try:
            await run_workers(self._engine.concurrency, work)
        finally:
            pulse.cancel()
            await feed.aclose()
            self._claims.leave(self._progress.news())
        for session in self._sessions:
            session.check_rules()
        return FolderOutcome(
            key=self._folder.key,
            root=self._folder.root,
            counts=self._folder.counts(),
            requests=self._progress.session.requests,
            seconds=time.monotonic() - began,
            completion_tokens=self._progress.session.completion_tokens,
        )

    async def _one(self, block: _Block, place: int) -> None:
        """One unit; whoever finishes a block's last unit commits the block."""
        document, rollout = block.units[place]
        session = self._sessions[self._mix.choice(document.id, rollout)]
        block.results[place] = await session.document(document, rollout, block.journal)
        self._progress.open += 1
        whole = block.whole
        if whole is None:
            return
        block.journal.close()
        if not self._claims.holds(block.number):
            raise SynthlawError(
                f"block {block.number} was taken over by another worker while this one stood "
                "still; run again to go on"
            )
        # Off the loop: writing and syncing would hold up every request in flight.
        await asyncio.to_thread(self._folder.commit, block.number, whole)
        self._retry.discard(block.number)
        self._claims.release(block.number)
        self._pending = [number for number in self._pending if number != block.number]
        self._count_left()
        self._progress.open -= len(block.units)

    async def _feed(self) -> AsyncGenerator[tuple[_Block, int], None]:
        """Units of one claimed block after another, until every block is finished by someone."""
        held: set[int] = set()
        while True:
            number = await asyncio.to_thread(self._claim_next, held)
            if number is None:
                if not self._pending:
                    return
                await asyncio.sleep(0.2)
                self._look_again()
                continue
            held.add(number)
            block = await asyncio.to_thread(self._open, number)
            for place in range(len(block.units)):
                yield block, place

    def _claim_next(self, held: set[int]) -> int | None:
        """The first unfinished block that this worker can have; None when there is none now."""
        for number in self._pending:
            if number in held or not self._claims.take(number):
                continue
            # Between the last look and the claim another worker may have finished it.
            if self._is_done(number):
                self._claims.release(number)
                continue
            return number
        return None

    def _open(self, number: int) -> _Block:
        documents = self._reader.block(number)
        rollouts = range(self._rollouts)
        units = [(document, rollout) for document in documents for rollout in rollouts]
        path = self._folder.journal(number, self._claims.worker)
        earlier = self._folder.journals(number)
        journal = BlockJournal(path, earlier, retry_failed=number in self._retry)
        return _Block(number, units, journal.__enter__())

    def _is_done(self, number: int) -> bool:
        return number not in self._retry and self._folder.marker(number) is not None

    def _with_failures(self) -> list[int]:
        markers = ((number, self._folder.marker(number)) for number in self._pending)
        return [number for number, marker in markers if marker and marker["counts"]["failed"]]

    def _look_again(self) -> None:
        """Others may have finished some of what is pending."""
        self._pending = [number for number in self._pending if not self._is_done(number)]
        self._count_left()

    def _count_left(self) -> None:
        size, total = self._folder.block_size, self._folder.inputs.documents
        left = sum(min(size, total - number * size) for number in self._pending)
        self._progress.finished = (total - left) * self._rollouts

    def _report(self, _: Progress) -> None:
        if self._on_progress is not None and time.monotonic() - self._shown >= SHOW_SECONDS:
            self._look_at_queue()
            self._shown = time.monotonic()
            self._on_progress(self._progress)

    def _look_at_queue(self) -> None:
        self._progress.in_flight = dict(self._engine.in_flight)
        self._progress.waiting = self._engine.waiting

    async def _beat(self) -> None:
        """Say every few seconds that this worker lives and how it goes."""
        while True:
            self._look_at_queue()
            await asyncio.to_thread(self._claims.beat, self._progress.news())
            await asyncio.sleep(HEARTBEAT_SECONDS)
