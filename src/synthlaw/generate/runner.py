"""The runner: every document of a list through its recipe, the engine kept busy, nothing lost.

As many documents are under way as the engine has places; each goes through its steps in order, the
chapters of a book side by side. What the model wrote ends up in exactly one of four lists:
documents, dropped (a rule said why), failed (the engine would not answer), and set aside (outlines,
which only feed chapters). `folder.py` runs whole files into an output folder, resumable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from synthlaw.corpus.documents import Document
from synthlaw.generate.engines.base import Engine, Sampling
from synthlaw.generate.keywords import KeywordPool
from synthlaw.generate.recipe import Recipe
from synthlaw.generate.session import Session
from synthlaw.generate.settings import (
    INPUT_TOKENS,
    Generated,
    Journal,
    NoJournal,
    Progress,
    ProgressCallback,
    Settings,
)

__all__ = ["Generated", "Progress", "Settings", "generate_documents", "generate_shard"]


def generate_shard(
    recipe: Recipe,
    documents: Sequence[Document],
    engine: Engine,
    sampling: Sampling,
    seed: int,
    *,
    input_tokens: int = INPUT_TOKENS,
    rollouts: int = 1,
    on_progress: ProgressCallback | None = None,
) -> Generated:
    """Run a recipe over documents and wait for the whole. The order of results is the input's.

    A failed request does not stop the others: see `Generated.failed`. Raises SynthlawError when
    the engine itself breaks or when rules fail on more than 1% of the completions.
    """
    settings = Settings(recipe, sampling, seed, input_tokens, rollouts)

    async def run() -> Generated:
        async with engine:
            return await generate_documents(settings, documents, engine, on_progress=on_progress)

    return asyncio.run(run())


async def generate_documents(
    settings: Settings,
    documents: Sequence[Document],
    engine: Engine,
    *,
    journal: Journal | None = None,
    pool: KeywordPool | None = None,
    on_progress: ProgressCallback | None = None,
) -> Generated:
    """As `generate_shard`, within a running loop and an entered engine.

    pool: for recipes that are seeded by keywords.
    """
    session = Session(settings, engine, on_progress=on_progress, pool=pool)
    kept = journal or NoJournal()
    units = [(doc, rollout) for doc in documents for rollout in range(settings.rollouts)]
    results: dict[int, Generated] = {}
    places = iter(range(len(units)))

    async def work() -> None:
        for place in places:
            results[place] = await session.document(*units[place], kept)

    await run_workers(min(engine.concurrency, len(units)), work)
    whole = Generated()
    for place in range(len(units)):
        whole.extend(results[place])
    session.check_rules()
    return whole


async def run_workers(count: int, work: Callable[[], Awaitable[None]]) -> None:
    """Run `count` copies of `work`; the first error cancels the others and is raised as it is."""
    workers = [asyncio.ensure_future(work()) for _ in range(count)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
