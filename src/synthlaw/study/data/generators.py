"""The generators of a study at work, each on the runs of its recipes.

Servers elsewhere write side by side; engines that take this machine for themselves, one after
another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from synthlaw.generate.engines.base import Engine
from synthlaw.generate.run.work import RunWork
from synthlaw.generate.run.workers import OnProgress, serve


@dataclass
class Generator:
    """One generator, by its name in the study.

    elsewhere: whether its engine is a server that was there before. runs: that it carries out.
    written, seconds: completion tokens of this process's work, and how long it took.
    """

    name: str
    engine: Engine
    elsewhere: bool
    runs: list[RunWork] = field(default_factory=list)
    written: int = 0
    seconds: float = 0.0

    async def work(self, on_progress: OnProgress) -> None:
        """Do what is left of its runs, beside other workers."""
        began, before = time.monotonic(), self.engine.written
        try:
            await serve(self.runs, self.engine, on_progress)
        finally:
            # What the engine wrote: what a journal remembered cost no time.
            self.written += self.engine.written - before
            self.seconds += time.monotonic() - began


def serve_all(generators: Sequence[Generator], on_progress: OnProgress) -> None:
    """Do what is left of all runs; on_progress is called with all of them.

    The first error of a generator stops the others and is raised. Raises what `serve` raises.
    """
    runs = [run for one in generators for run in one.runs]

    async def in_turn(some: Sequence[Generator]) -> None:
        for one in some:
            await one.work(lambda _: on_progress(runs))

    here = [one for one in generators if not one.elsewhere]
    queues = [[one] for one in generators if one.elsewhere] + ([here] if here else [])

    async def all_queues() -> None:
        tasks = [asyncio.ensure_future(in_turn(queue)) for queue in queues]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(all_queues())
