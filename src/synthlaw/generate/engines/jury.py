"""Whose fault a refusal is: the document's, or the setup's.

A server that answered others refuses this document for what is in it (moderation, a firewall, its
length). One that has answered nothing yet may refuse everything: a wrong key, no such model, a
context that is shorter than asked. One experiment tells: a short harmless request with the same
sampling and system prompt. Refused too, nothing can be answered and the run stops at once, with the
server's words.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from synthlaw.common.errors import SynthlawError
from synthlaw.generate.engines.base import Request, RequestFailedError
from synthlaw.generate.engines.retries import RefusedError, TryAgainError, meaning_of

_MANY_REFUSED = 16
"""Refusals in a row, no answer between, after which a server that answered is tried again."""

_ABOUT_NO_DOCUMENT = frozenset({"http-401", "http-404", "http-405", "http-407", "http-410"})
"""Refusals that are hardly ever a document's fault."""

_TRIAL_PROMPT = "Reply with one word: yes."


class Jury:
    """Judges the refusals of one server. url: shown. ask: one try of a request at that server."""

    def __init__(self, url: str, ask: Callable[[Request], Awaitable[object]]) -> None:
        self._url, self._ask = url, ask
        self._trusted = self._condemned = False
        self._refused = self._answers = 0
        self._trial: asyncio.Task[RefusedError | None] | None = None

    def answered(self) -> None:
        """Note that the server answered a request."""
        self._trusted, self._condemned, self._refused = True, False, 0
        self._answers += 1

    async def judge(self, refusal: RefusedError, request: Request) -> RequestFailedError:
        """The document's failure. Raises SynthlawError when the setup is to blame."""
        self._refused += 1
        suspected = refusal.reason in _ABOUT_NO_DOCUMENT or self._refused >= _MANY_REFUSED
        if suspected or not self._trusted:
            if self._trial is None or (self._trial.done() and not self._condemned):
                self._trial = asyncio.create_task(self._try(request))
            answers = self._answers
            again = await asyncio.shield(self._trial)
            # Where others were answered meanwhile, the trial met what the document met: chance.
            if again is not None and answers == self._answers:
                self._condemned = True
                raise SynthlawError(
                    f"{self._url}: the server refuses every request ({again.reason}), also one of "
                    f"five words; {meaning_of(again.reason, again.said)}: {again.said}"
                ) from refusal
        return RequestFailedError(refusal.reason, refusal.body)

    async def _try(self, request: Request) -> RefusedError | None:
        """The refusal of a harmless request; None when it is answered or nothing can be told."""
        for _ in range(2):
            try:
                await self._ask(Request(_TRIAL_PROMPT, request.system, request.sampling, 1))
            except RefusedError as refusal:
                return refusal
            except TryAgainError as error:
                if error.answered:
                    return RefusedError(error.reason, error.said)
                await asyncio.sleep(1.0)
            else:
                self.answered()
                return None
        return None
