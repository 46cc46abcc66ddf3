"""One request on its way through the embedded engine's batch."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from synthlaw.generate.engines.base import Completion, Sampling

CACHE_BLOCK = 32
"""Tokens in a block of OpenVINO's CPU key-value cache."""


@dataclass
class Job:
    """What is asked, and who waits for it. ids: of the whole prompt."""

    ids: list[int]
    sampling: Sampling
    seed: int
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Completion]

    @property
    def cache_tokens(self) -> int:
        """Room that the longest answer may need in the cache, in whole blocks."""
        longest = len(self.ids) + self.sampling.max_tokens
        return CACHE_BLOCK * -(-longest // CACHE_BLOCK)

    def deliver(self, result: Completion | Exception) -> None:
        """Hand a result over to the loop that waits for it; from any thread."""
        self.loop.call_soon_threadsafe(self._settle, result)

    def _settle(self, result: Completion | Exception) -> None:
        if self.answer.done():
            return
        if isinstance(result, Exception):
            self.answer.set_exception(result)
        else:
            self.answer.set_result(result)
