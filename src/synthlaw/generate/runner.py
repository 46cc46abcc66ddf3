"""Generation from Python: some documents through a recipe, by a run folder as all others."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from synthlaw.common.digest import digest_of
from synthlaw.corpus.documents import Document
from synthlaw.generate.engines.base import Engine
from synthlaw.generate.generated import Generated
from synthlaw.generate.mixing import RecipeMix
from synthlaw.generate.run.folder import RunFolder
from synthlaw.generate.run.target import Target
from synthlaw.generate.run.work import RunWork
from synthlaw.generate.run.workers import BLOCK_SIZE, OnProgress, keyword_pool, serve
from synthlaw.generate.settings import Settings


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


def generate_documents(
    settings: Settings,
    documents: Sequence[Document],
    engine: Engine,
    *,
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
        with tempfile.TemporaryDirectory(prefix="synthlaw-") as kept:
            return generate_documents(
                settings, documents, engine, out=Path(kept), on_progress=on_progress
            )
    inputs = _Listed(documents)
    mix = RecipeMix.of([settings])
    folder = RunFolder(out, mix, engine, inputs, BLOCK_SIZE, Target())
    pool = keyword_pool(inputs, settings.seed)
    run = RunWork(settings.recipe.name, folder, engine, pool=pool)
    asyncio.run(serve([run], engine, on_progress or (lambda runs: None)))
    made = Generated()
    for kind, listed in made.lists():
        listed.extend(folder.documents(kind))
    return made
