"""What a server's answer means for a request: done, try again, refused, or stop the run."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from synthlaw.common.errors import SynthlawError
from synthlaw.generate.engines.address import KEY_VARIABLES, ServerAddress
from synthlaw.generate.engines.answers import (
    Answer,
    BadAnswerError,
    error_code,
    read_answer,
    said,
)
from synthlaw.generate.engines.http import Response

BUSY = frozenset({425, 429})
TRY_AGAIN = frozenset({408, 409, 421, 423, 424, 498, 499})
"""Below 500, and yet about the moment: time-outs, locks, TGI's failed generation, capacity."""

NEVER = frozenset({501, 505, 511})
"""From 500 on, and yet about the request: asking again cannot help."""

_USED_UP = re.compile(
    r"insufficient_(?:quota|balance|credits?|funds)|billing_(?:hard_limit|not_active)|"
    r"(?:exceeded_current_)?quota_(?:exceeded|exhausted)|account_(?:deactivated|suspended)|"
    r"credits?_exhausted|exceeded_current_quota|payment_required",
    re.IGNORECASE,
)
"""Short names of an error which say that nothing more is answered, however long one waits."""


@dataclass(frozen=True)
class RetryPolicy:
    """When to try again. Times in seconds.

    attempts: tries per request that a working server saw. first, longest: backoff before the
    second try and its ceiling; each wait is drawn between half and the whole. patience: how long
    every server may be down, or say that it is busy, before the run stops or the request failed.
    breaker: tries that fail in a row, none answered between, before a server counts as down; more
    than `attempts`, or one poisonous document takes it down. bad_answers: tries that got an answer
    which is none; fewer, since answers are paid for. longest_asked: ceiling of what a server asks
    for in `Retry-After`.
    """

    attempts: int = 8
    first: float = 0.5
    longest: float = 60.0
    timeout: float = 600.0
    connect_timeout: float = 10.0
    patience: float = 3600.0
    breaker: int = 16
    bad_answers: int = 4
    longest_asked: float = 300.0

    def wait(self, tries: int, jitter: random.Random, asked: float = 0.0) -> float:
        """Seconds before the next try, after `tries` tries. asked: what the server asked for."""
        whole = min(self.longest, self.first * 2.0 ** min(tries - 1, 30))
        return max(whole * (0.5 + 0.5 * jitter.random()), min(asked, self.longest_asked))


class TryAgainError(Exception):
    """A try that failed. wait: what the server asked for, in seconds. busy: it said it has to.

    answered: the server works, but what it answered is no answer.
    """

    def __init__(
        self,
        reason: str,
        said: str,
        *,
        wait: float = 0.0,
        busy: bool = False,
        answered: bool = False,
    ) -> None:
        super().__init__(f"{reason}: {said}")
        self.reason, self.said, self.wait = reason, said, wait
        self.busy, self.answered = busy, answered


class RefusedError(Exception):
    """The server will not answer this request, whose fault it may be. body: all that it said."""

    def __init__(self, reason: str, said: str, body: str = "") -> None:
        super().__init__(f"{reason}: {said}")
        self.reason, self.said, self.body = reason, said, body or said


def answer_of(response: Response, address: ServerAddress) -> Answer:
    """The answer in a response.

    Raises TryAgainError, RefusedError, and SynthlawError when nothing more will be answered.
    """
    if response.status not in range(200, 300):
        raise _failure(response, response.status, error_code(response.body), address)
    try:
        return read_answer(response.body)
    except BadAnswerError as error:
        if error.status >= 400 or error.code:
            raise _failure(response, error.status, error.code, address) from error
        raise TryAgainError(error.reason, address.scrub(error.said), answered=True) from error


def _failure(response: Response, status: int, code: str, address: ServerAddress) -> Exception:
    """The error that a status and an error's short name stand for. status: 0 when none is said."""
    body = address.scrub(response.text[:100_000])
    words, reason = said(body), f"http-{status}" if status else "error-answer"
    if status == 402 or _USED_UP.search(code):
        return SynthlawError(
            f"{address.url}: nothing more is answered, the quota or the credit is used up "
            f"({reason}): {words} Run again when it is filled up: what was answered is kept"
        )
    if status in BUSY or status in TRY_AGAIN or (status >= 500 and status not in NEVER):
        return TryAgainError(reason, words, wait=retry_after(response.headers), busy=status in BUSY)
    if not status:
        return TryAgainError(reason, words, answered=True)
    return RefusedError(reason, words, body)


def meaning_of(reason: str, words: str) -> str:
    """What a refusal of every request points at, for people. words: the server's."""
    if _NO_SYSTEM_TURN.search(words):
        return "the model takes no system turn (--fold-system puts it into the user's)"
    keys = f"(keys are read from {' or '.join(KEY_VARIABLES)})"
    return {
        "http-401": f"the key is refused {keys}",
        "http-403": f"the key is refused or may not use this model {keys}",
        "http-404": "the model or the URL is not there",
        "http-405": "the URL is not that of a server with the OpenAI protocol",
        "http-407": "the proxy wants a password",
        "web-page": "the URL is that of a web page",
    }.get(reason, "no request can be answered with these settings")


_NO_SYSTEM_TURN = re.compile(
    r"\bsystem\b.{0,20}\b(?:role|message|turn|prompt)|must alternate", re.IGNORECASE
)


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a server asks for in its headers: a number or a date, else 0."""
    value = headers.get("Retry-After", "")
    for text, unit in ((headers.get("Retry-After-Ms", ""), 1e-3), (value, 1.0)):
        try:
            seconds = float(text) * unit
        except ValueError:
            continue
        return seconds if seconds > 0 and not math.isnan(seconds) else 0.0
    try:
        then = parsedate_to_datetime(value)
        then = then if then.tzinfo else then.replace(tzinfo=UTC)
        return max(0.0, (then - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0
