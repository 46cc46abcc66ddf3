"""Generation from Python: some documents through a recipe, by a run folder as all others."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from synthlaw.common.digest import digest_of
from synthlaw.corpus.documents import Document
from synthlaw.generate.engines.base import Engine, Sampling
from synthlaw.generate.generated import Generated
from synthlaw.generate.mixing import RecipeMix
from synthlaw.generate.recipe import Recipe
from synthlaw.generate.run.folder import RunFolder
from synthlaw.generate.run.target import Target
from synthlaw.generate.run.work import RunWork
from synthlaw.generate.run.workers import BLOCK_SIZE, OnProgress, keyword_pool, serve
from synthlaw.generate.settings import INPUT_TOKENS, Settings


class _Listed:
    """Documents in a list as a run's input."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = documents
        self.documents = len(documents)
        self.digests = [digest_of([document.row() for document in documents])]

    def range(self, start: int, stop: int) -> Iterator[Document]:
        return iter(self._documents[start:stop])

    def scan(self) -> Iterator[Document]:
        return iter(self._documents)


def generate_shard(
    recipe: Recipe,
    documents: Sequence[Document],
    engine: Engine,
    sampling: Sampling,
    seed: int,
    *,
    input_tokens: int = INPUT_TOKENS,
    rollouts: int = 1,
    out: Path | None = None,
    on_progress: OnProgress | None = None,
) -> Generated:
    """Run a recipe over documents and wait for the whole. The order of results is the input's.

    out: a folder that keeps everything, as `synthlaw generate --out` does, so that a second call
    asks for nothing that is there; without it nothing is kept.
    A failed request does not stop the others: see `Generated.failed`. Raises SynthlawError when
    the engine itself breaks or when rules fail on more than 1% of the completions.
    """
    if out is None:
        with tempfile.TemporaryDirectory(prefix="synthlaw-") as folder:
            kept = Path(folder)
            return generate_shard(
                recipe,
                documents,
                engine,
                sampling,
                seed,
                input_tokens=input_tokens,
                rollouts=rollouts,
                out=kept,
                on_progress=on_progress,
            )
    mix = RecipeMix.of([Settings(recipe, sampling, seed, input_tokens, rollouts)])
    inputs, target = _Listed(documents), Target()
    folder_of_run = RunFolder(out, mix, engine, inputs, BLOCK_SIZE, target)
    pool = keyword_pool(inputs, seed)
    run = RunWork(recipe.name, mix, engine, folder_of_run, target, pool=pool)
    asyncio.run(serve([run], engine, on_progress or (lambda runs: None)))
    made = Generated()
    for kind, listed in made.lists():
        listed.extend(folder_of_run.documents(kind))
    return made
