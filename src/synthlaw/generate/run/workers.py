"""A worker: keeps one engine full with the blocks of any number of runs.

Any number of workers, on one machine or many, may serve the same runs: blocks are claimed. The
worker never waits for a block to finish before it begins the next, of the run that is furthest
from its end, so the engine stays full over the borders of blocks and runs. At most a few blocks are
open, and of these only what is out of turn is in memory, which does not grow with the input.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from synthlaw.common.claims import HEARTBEAT_SECONDS
from synthlaw.common.errors import SynthlawError
from synthlaw.common.files import write_text
from synthlaw.corpus.documents import Document
from synthlaw.corpus.readers.values import json_text
from synthlaw.generate.engines.base import Engine
from synthlaw.generate.keywords import KeywordPool
from synthlaw.generate.mixing import RecipeMix
from synthlaw.generate.requests import Progress
from synthlaw.generate.run.block import OpenBlock
from synthlaw.generate.run.card import Reporting, write_card
from synthlaw.generate.run.folder import Marker, RunFolder
from synthlaw.generate.run.inputs import InputFiles, Inputs
from synthlaw.generate.run.target import Target
from synthlaw.generate.run.work import RunWork

BLOCK_SIZE = 500
"""Documents per output file, to begin with."""

SHOW_SECONDS = 0.2
"""Between two calls of `on_progress`: thousands of completions a second need not all be drawn."""

READ_AT_ONCE = 64
"""Documents read from the input at a time."""

LOOK_SECONDS = 0.2
"""Between two looks at what others have finished, when nothing is left to begin."""


OnProgress = Callable[[Sequence[RunWork]], None]
"""Called with the runs that a worker serves, several times a second."""


@dataclass(frozen=True)
class FolderOutcome:
    """What stands in the folder after a run. counts: of all finished blocks; see RunFolder.

    faults: what of the input could not be read; see corpus/readers/faults.py.
    """

    key: str
    root: Path
    counts: dict[str, Any]
    faults: dict[str, Any]
    requests: int
    seconds: float
    completion_tokens: int


def run_folder(
    mix: RecipeMix,
    engine: Engine,
    inputs: InputFiles,
    out: Path,
    *,
    block_size: int = BLOCK_SIZE,
    retry_failed: bool = False,
    reporting: Reporting | None = None,
    on_progress: OnProgress | None = None,
) -> FolderOutcome:
    """Generate from all documents of `inputs` into `out`; what is there already is not redone.

    Returns when every block of the run is finished, by this worker or by others on the same
    folder. Raises UsageError for unusable input or folder, SynthlawError when the engine breaks;
    failed requests are counted, not raised.
    """
    folder = RunFolder(out, mix, engine, inputs, block_size, Target())
    if bad := list(inputs.bad_records()):
        lines = "".join(json_text(one) + "\n" for one in bad)
        write_text(folder.root / "bad_records.jsonl", lines)
    pool = keyword_pool(inputs, mix.common.seed)
    name = " and ".join(mix.recipes)
    run = RunWork(name, folder, engine, pool=pool, retry_failed=retry_failed)
    began = time.monotonic()
    asyncio.run(serve([run], engine, on_progress or (lambda runs: None)))
    seconds = time.monotonic() - began
    folder.finish(run.standing.result())
    write_card(folder, mix.recipes, reporting or Reporting())
    return FolderOutcome(
        key=folder.key,
        root=folder.root,
        counts=folder.counts(),
        faults=inputs.faults,
        requests=run.progress.own.requests,
        seconds=seconds,
        completion_tokens=run.progress.own.completion_tokens,
    )


def keyword_pool(inputs: Inputs, seed: int) -> Callable[[], KeywordPool]:
    """The pool of an input's keywords, made when it is first asked for."""
    return cache(lambda: KeywordPool(inputs.scan(), seed))


async def serve(runs: Sequence[RunWork], engine: Engine, on_progress: OnProgress) -> None:
    """Do what is left of `runs`, beside other workers; the engine is entered if anything is.

    Returns when all are complete, by whomever. Raises what RunWork raises, and SynthlawError when
    the engine breaks.
    """
    if all(run.complete for run in runs):
        return
    async with engine:
        await _Worker(runs, engine, on_progress).work()


class _Worker:
    """This process at work on some runs."""

    def __init__(self, runs: Sequence[RunWork], engine: Engine, on_progress: OnProgress) -> None:
        self._runs, self._engine, self._on_progress = runs, engine, on_progress
        self._shown = 0.0
        self._left = asyncio.Event()
        self._finishing: set[asyncio.Future[Marker]] = set()
        for run in runs:
            run.report = self._report

    async def work(self) -> None:
        for run in self._runs:
            run.join()
        pulse = asyncio.create_task(self._beat())
        feed, lock = self._feed(), asyncio.Lock()

        async def one_after_another() -> None:
            while True:
                async with lock:
                    taken = await anext(feed, None)
                if taken is None:
                    return
                await self._one(*taken)

        try:
            await side_by_side(self._engine.concurrency, one_after_another)
        finally:
            await asyncio.gather(*self._finishing, return_exceptions=True)
            # Waited for: a beat after the last word would be one of the dead.
            self._left.set()
            await pulse
            await feed.aclose()
            for run in self._runs:
                run.leave()
        for run in self._runs:
            run.check_rules()

    async def _one(
        self, run: RunWork, block: OpenBlock, place: int, rollout: int, document: Document
    ) -> None:
        """One rollout; whoever makes a block's last commits the block."""
        if await run.make(block, place, rollout, document):
            # Off the loop: counting, writing and syncing would hold up every request in flight.
            # Shielded: a whole block is committed even when the worker is stopped.
            finishing = asyncio.ensure_future(asyncio.to_thread(run.finish, block))
            self._finishing.add(finishing)
            run.finished(block, await asyncio.shield(finishing))
            self._finishing.discard(finishing)

    async def _feed(self) -> AsyncGenerator[tuple[RunWork, OpenBlock, int, int, Document], None]:
        """Rollouts of one claimed block after another, until every run is complete."""
        while not all(run.complete for run in self._runs):
            claimed = await asyncio.to_thread(self._claim)
            if claimed is None:
                self._report(None)
                await asyncio.sleep(LOOK_SECONDS)
                await asyncio.to_thread(self._look)
                continue
            run, number = claimed
            block = await asyncio.to_thread(run.open, number)
            place, asked = 0, run.asked(block)
            # Reading is done off the loop, some documents at a time.
            while some := await asyncio.to_thread(list, islice(asked, READ_AT_ONCE)):
                for rollout, document in some:
                    yield run, block, place, rollout, document
                    place += 1
            if place != block.size:
                raise SynthlawError(
                    f"{run.name}: the input ends at document "
                    f"{block.start + place // run.rollouts:,} and had "
                    f"{run.folder.inputs.documents:,}; it was changed while it was read"
                )

    def _claim(self) -> tuple[RunWork, int] | None:
        """A block of the run that is furthest from its end, so that all end together."""
        for run in self._runs:
            run.standing.check_hope()
        queue: list[tuple[float, int, int]] = []
        candidates = [run.candidates() for run in self._runs]

        def push(index: int) -> None:
            found = next(candidates[index], None)
            if found is not None:
                heapq.heappush(queue, (found[0], index, found[1]))

        for index in range(len(self._runs)):
            push(index)
        while queue:
            _, index, block = heapq.heappop(queue)
            if self._runs[index].claim(block):
                return self._runs[index], block
            push(index)
        return None

    def _look(self) -> None:
        for run in self._runs:
            run.look()

    def _report(self, _: Progress | None) -> None:
        if time.monotonic() - self._shown >= SHOW_SECONDS:
            self._shown = time.monotonic()
            self._look_at_queue()
            self._on_progress(self._runs)

    def _look_at_queue(self) -> None:
        for run in self._runs:
            run.progress.in_flight = dict(self._engine.in_flight)
            run.progress.waiting = self._engine.waiting

    async def _beat(self) -> None:
        """Say every few seconds that this worker lives and how it goes."""
        while not self._left.is_set():
            self._look_at_queue()
            for run in self._runs:
                await asyncio.to_thread(run.claims.beat, run.progress.news())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._left.wait(), HEARTBEAT_SECONDS)


async def side_by_side(count: int, work: Callable[[], Awaitable[None]]) -> None:
    """Run `count` copies of `work`; the first error cancels the others and is raised as it is."""
    tasks = [asyncio.ensure_future(work()) for _ in range(count)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
