"""What a server's answer means for a request: done, try again, refused, or stop the run."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from synthlaw.common.errors import SynthlawError
from synthlaw.generate.engines.base import RequestFailedError
from synthlaw.generate.engines.http import Response

KEY_VARIABLES = ("SYNTHLAW_API_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the key, the first that is set; it is never shown."""

BUSY = frozenset({425, 429})
WRONG_SETUP = frozenset({401, 403, 404})


@dataclass(frozen=True)
class RetryPolicy:
    """When to try again. Times in seconds.

    attempts: tries per request that a working server saw. first, longest: backoff before the
    second try and its ceiling; each wait is drawn between half and the whole. patience: how long
    every server may be down, or say that it is busy, before the run stops or the request failed.
    breaker: tries that fail in a row, none answered between, before a server counts as down; more
    than `attempts`, or one poisonous document takes it down.
    """

    attempts: int = 8
    first: float = 0.5
    longest: float = 60.0
    timeout: float = 600.0
    connect_timeout: float = 10.0
    patience: float = 3600.0
    breaker: int = 16

    def wait(self, tries: int, jitter: random.Random) -> float:
        """Seconds before the next try, after `tries` tries."""
        whole = min(self.longest, self.first * 2.0 ** min(tries - 1, 30))
        return whole * (0.5 + 0.5 * jitter.random())


class TryAgainError(Exception):
    """A try that failed. wait: what the server asked for, in seconds. busy: it said it has to."""

    def __init__(
        self, reason: str, response: str, *, wait: float = 0.0, busy: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason, self.response, self.wait, self.busy = reason, response, wait, busy


def answer_of(response: Response, url: str) -> dict[str, Any]:
    """The answer's JSON. Raises TryAgainError to try again, others to stop."""
    status = response.status
    if status in WRONG_SETUP:
        raise SynthlawError(
            f"{url}: the server answers {status}; "
            f"{'the model or the URL is not there' if status == 404 else 'the key is refused'} "
            f"(keys are read from {' or '.join(KEY_VARIABLES)}): {response.text[:300]}"
        )
    if status in BUSY or status == 408 or status >= 500:
        wait = _retry_after(response.headers.get("retry-after"))
        raise TryAgainError(f"http-{status}", response.text, wait=wait, busy=status in BUSY)
    if status != 200:
        raise RequestFailedError(f"http-{status}", response.text)
    try:
        answer: dict[str, Any] = json.loads(response.body)
        good = isinstance(text_of(answer["choices"][0]), str)
    except (ValueError, KeyError, IndexError, TypeError):
        good = False
    if not good:
        raise TryAgainError("bad-answer", response.text)
    return answer


def text_of(choice: dict[str, Any]) -> str:
    """What was written: chat answers hold a message, plain ones a text."""
    text: str = choice["message"]["content"] if "message" in choice else choice["text"]
    return text


def _retry_after(value: str | None) -> float:
    """Seconds from a Retry-After header, a number or a date; 0 without one."""
    if value is None:
        return 0.0
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0
