"""Requests of a generation run: their seeds and keys, each asked of the engine at most once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from synthlaw.common.digest import digest_of
from synthlaw.common.seeds import derive_seed
from synthlaw.corpus.documents import Document
from synthlaw.generate.engines.base import (
    Completion,
    Engine,
    Request,
    RequestFailedError,
    Sampling,
)
from synthlaw.generate.engines.reasoning import answer_alone
from synthlaw.generate.settings import Settings

NOTHING_ASKED = Request("", "", Sampling(), 0)
"""Stands where a text comes of no request."""


class Journal(Protocol):
    """Where completions are kept as they come, so that none is paid for twice."""

    def find(self, key: str) -> Completion | RequestFailedError | None:
        """What became of the request with this key, None when it was never finished."""
        ...

    def keep(self, key: str, result: Completion | RequestFailedError) -> None:
        """Record what became of a request."""
        ...


@dataclass
class Progress:
    """Running counts of one process since its start.

    documents: rollouts made. requests: those that the engine answered or failed.
    """

    documents: int = 0
    requests: int = 0
    failed: int = 0
    completion_tokens: int = 0
    started: float = field(default_factory=time.monotonic)


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True)
class Rollout:
    """One of a document's rollouts; `text` is what of the document goes into prompts."""

    document: Document
    number: int
    text: str
    journal: Journal


class Requests:
    """What all requests of a run share."""

    def __init__(
        self, settings: Settings, engine: Engine, progress: Progress, report: ProgressCallback
    ) -> None:
        """engine: entered, since its identity is part of every key. report: called often."""
        self.settings, self.engine, self.progress = settings, engine, progress
        self._report = report
        self.digest = settings.digest(engine)

    def seed(self, rollout: Rollout, name: str) -> int:
        """Seed of the request `name`, of 31 bits: the widest that every server takes."""
        names = (self.settings.recipe.name, rollout.document.id, rollout.number, name)
        return derive_seed(self.settings.seed, "generate", *names, bits=31)

    def key(self, rollout: Rollout, name: str, request: Request) -> str:
        """Digest of the document, the settings, the engine, the step and what is asked."""
        names = [self.digest, rollout.document.id, rollout.number, name]
        return digest_of([*names, request.record()])

    async def ask(
        self, rollout: Rollout, key: str, request: Request
    ) -> Completion | RequestFailedError:
        """The journal's completion, or the engine's, which the journal then keeps as it came.

        Its text is the answer alone: see reasoning.py.
        """
        result: Completion | RequestFailedError | None = rollout.journal.find(key)
        if result is None:
            try:
                result = await self.engine.complete(request)
            except RequestFailedError as error:
                result = error
            rollout.journal.keep(key, result)
            self.progress.requests += 1
        if isinstance(result, Completion):
            self.progress.completion_tokens += result.completion_tokens
            result = await self._parted(result, rollout.text)
        self.report()
        return result

    async def _parted(self, completion: Completion, source: str) -> Completion:
        """The completion without the model's reasoning, or with a doubt where that is not clear."""
        parted = answer_alone(completion.text, source)
        if parted.doubt:
            return replace(completion, doubt=parted.doubt)
        if not parted.cut:
            return completion
        tokens = await self.engine.count_tokens(parted.text)
        aside = f"{parted.cut} cut off"
        return replace(completion, text=parted.text, aside=aside, completion_tokens=tokens)

    def report(self) -> None:
        """Hand the progress on."""
        self._report(self.progress)
