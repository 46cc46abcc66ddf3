"""The servers that share the work: which one is asked next, and what is known of each.

A server is a circuit breaker: `closed` while it works, `open` while it is down, `half-open` while
one request tries whether it works again. A fault of the setup (an unknown host, a bad certificate)
of a server that never answered is no outage: it stops the run.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Literal, Self

from synthlaw.common.errors import SynthlawError
from synthlaw.common.numbers import format_seconds
from synthlaw.common.progress import say
from synthlaw.common.quick_json import from_json, to_json
from synthlaw.generate.engines.address import ServerAddress
from synthlaw.generate.engines.answers import said
from synthlaw.generate.engines.base import RequestFailedError
from synthlaw.generate.engines.http import (
    ConnectError,
    ExchangeError,
    HttpClient,
    Response,
    WrongAddressError,
)
from synthlaw.generate.engines.retries import (
    BUSY,
    TRY_AGAIN,
    RetryPolicy,
    TryAgainError,
    retry_after,
)

_TOLD_EVERY = 60.0
"""Seconds between two sentences on one server's waits."""

_SILENT_BELOW = 5.0
"""Waits shorter than this, in seconds, are not worth a sentence."""

_UNKNOWN_HOST_TRIES = 4


class Server:
    """One base URL and what is known of it.

    failing: tries in a row that failed. troubled_since: when it went down without an answer ever
    since. trips: how often since then. heard: whether it ever said anything.
    """

    def __init__(self, address: ServerAddress, client: HttpClient) -> None:
        self.address, self.client = address, client
        self.in_flight = self.failing = self.trips = 0
        self.state: Literal["closed", "open", "half-open"] = "closed"
        self.troubled_since: float | None = None
        self.heard = False
        self.told = float("-inf")

    @property
    def url(self) -> str:
        """Its base URL, without secrets."""
        return self.address.url

    @property
    def takes_requests(self) -> bool:
        """Whether one more request may be sent."""
        return self.state == "closed" or (self.state == "half-open" and not self.in_flight)

    def works(self) -> None:
        """Note that it answered."""
        self.state, self.failing, self.troubled_since, self.trips = "closed", 0, None, 0


_SPOKEN = frozenset({"not-http", "redirect", "redirects", "too-large", "unreadable-body"})
"""Broken exchanges that are what a server answers, if no good one."""


class ServerPool:
    """All servers of an engine. Used within `async with`."""

    def __init__(
        self, addresses: Sequence[ServerAddress], retry: RetryPolicy, *, direct: bool = False
    ) -> None:
        """direct: leave the environment's proxies out. Raises UsageError for an unusable proxy."""
        self.retry = retry
        timeouts = {"timeout": retry.timeout, "connect_timeout": retry.connect_timeout}
        self.servers = [
            Server(address, HttpClient(address, **timeouts, direct=direct)) for address in addresses
        ]
        self._jitter = random.Random()
        self._revivals: set[asyncio.Task[None]] = set()
        self._fault: SynthlawError | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for server in self.servers:
            await self._stack.enter_async_context(server.client)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for revival in self._revivals:
            revival.cancel()
        self._revivals.clear()
        for server in self.servers:
            server.works()
        await self._stack.aclose()

    async def choose(self, *, beside: bool = False) -> Server:
        """The working server with the fewest requests in flight; waits while all are down.

        beside: for a question that is no request for an answer, which a half-open server takes
        too. Raises SynthlawError when that takes longer than patience lasts.
        """
        while True:
            if self._fault is not None:
                raise self._fault
            up = [
                server
                for server in self.servers
                if server.takes_requests or (beside and server.state == "half-open")
            ]
            if up:
                return min(up, key=lambda server: server.in_flight)
            now = time.monotonic()
            since = max(server.troubled_since or now for server in self.servers)
            if now - since > self.retry.patience:
                raise SynthlawError(
                    f"no server could be reached for {self.retry.patience:.0f} s: "
                    f"{', '.join(s.url for s in self.servers)}. Start it and run again: "
                    "what was answered is kept"
                )
            await asyncio.sleep(min(0.05, max(self.retry.patience / 10, 0.001)))

    async def exchange(self, server: Server, path: str, body: bytes | None) -> Response:
        """One try: POST, or GET without a body.

        Raises TryAgainError when another is due, SynthlawError when none is.
        """
        try:
            if body is None:
                response = await server.client.get(path, self.retry.connect_timeout * 3)
            else:
                response = await server.client.post(path, body)
        except WrongAddressError as error:
            if not server.heard:
                raise _wrong(server, error) from error
            self.is_down(server, str(error))
            raise TryAgainError("no-connection", str(error)) from error
        except ConnectError as error:
            self.is_down(server, str(error))
            raise TryAgainError("no-connection", str(error)) from error
        except ExchangeError as error:
            words = server.address.scrub(str(error))
            # What is no HTTP, or leads elsewhere, is this server's answer, if no good one.
            spoke = error.reason in _SPOKEN
            raise TryAgainError(error.reason, words, answered=spoke) from error
        server.heard = True
        return response

    async def question(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The JSON that one of the servers answers to a question beside the requests.

        Raises RequestFailedError when none of some tries is answered so, SynthlawError as `choose`.
        """
        data = None if body is None else to_json(body)
        tries = waits = 0
        while True:
            server = await self.choose(beside=True)
            try:
                value = _value_of(await self.exchange(server, path, data), server)
            except TryAgainError as error:
                waits += 1
                tries += self.note_failure(server, error)
                if tries >= self.retry.attempts or (error.answered and waits > 2):
                    raise RequestFailedError(error.reason, error.said) from error
                await self.pause(server, error, waits)
            else:
                server.failing = 0
                return value

    async def pause(self, server: Server, error: TryAgainError, waits: int) -> None:
        """Wait before the next try; long waits are told."""
        seconds = self.retry.wait(waits, self._jitter, error.wait)
        asked = error.wait > seconds + 1
        now = time.monotonic()
        if (seconds >= _SILENT_BELOW or asked) and now - server.told >= _TOLD_EVERY:
            server.told = now
            wish = f", asks to wait {_shown(error.wait)}" if asked else ""
            state = "is busy" if error.busy else "fails"
            say(
                f"  {server.url} {state} ({error.reason}: {error.said}){wish}; "
                f"trying again in {format_seconds(seconds)}"
            )
        await asyncio.sleep(seconds)

    def note_failure(self, server: Server, error: TryAgainError) -> bool:
        """Whether this failed try counts against its request; many in a row take a server down."""
        if error.busy or server.state == "open":
            return False
        if error.answered:
            return True
        server.failing += 1
        if server.state == "half-open" or server.failing >= self.retry.breaker:
            self.is_down(server, f"{error.reason}: {error.said}")
        return True

    def is_down(self, server: Server, reason: str) -> None:
        """Take a server out until it answers again."""
        if server.state == "open":
            return
        server.state = "open"
        server.trips += 1
        if server.troubled_since is None:
            server.troubled_since = server.told = time.monotonic()
            say(
                f"  {server.url} is down ({reason}); waiting for it, at most "
                f"{format_seconds(self.retry.patience)}"
            )
        revival = asyncio.create_task(self._revive(server))
        self._revivals.add(revival)
        revival.add_done_callback(self._revivals.discard)

    async def _revive(self, server: Server) -> None:
        """Ask a server for its models until it answers, whatever it answers below 500.

        The more often it went down without an answer, the longer the waits.
        """
        tries, unknown = server.trips - 1, 0
        while True:
            tries += 1
            await asyncio.sleep(self.retry.wait(tries, self._jitter))
            self._tell_still_down(server)
            try:
                response = await server.client.get("/models", timeout=30)
            except WrongAddressError as error:
                if not server.heard:
                    self._fault = _wrong(server, error)
                continue
            except ConnectError as error:
                unknown += "is not known" in str(error)
                if unknown >= _UNKNOWN_HOST_TRIES and not server.heard:
                    self._fault = _wrong(server, error)
                continue
            except ExchangeError:
                continue
            if response.status < 500:
                if server.trips == 1:
                    say(f"  {server.url} answers again")
                server.state, server.failing, server.heard = "half-open", 0, True
                return

    def _tell_still_down(self, server: Server) -> None:
        now = time.monotonic()
        down = now - (server.troubled_since or now)
        # Twice as long after each sentence: an hour is told in six.
        if now - server.told >= max(_TOLD_EVERY, down / 2):
            server.told = now
            left = max(self.retry.patience - down, 0.0)
            say(
                f"  {server.url} is down since {format_seconds(down)}; waiting at most "
                f"{format_seconds(left)} more"
            )


def _value_of(response: Response, server: Server) -> Any:
    """The JSON of an answer to a question. Raises TryAgainError, RequestFailedError."""
    status = response.status
    if 200 <= status < 300:
        try:
            return from_json(response.body.decode("utf-8-sig", "replace"))
        except (ValueError, RecursionError) as error:
            words = server.address.scrub(said(response.text[:100_000]))
            raise TryAgainError("not-json", words, answered=True) from error
    words = server.address.scrub(said(response.text[:100_000]))
    if status in BUSY or status in TRY_AGAIN or status >= 500:
        wait = retry_after(response.headers)
        raise TryAgainError(f"http-{status}", words, wait=wait, busy=status in BUSY)
    raise RequestFailedError(f"http-{status}", words)


def _wrong(server: Server, error: ConnectError) -> SynthlawError:
    return SynthlawError(f"{server.url}: {server.address.scrub(str(error))}")


def _shown(seconds: float) -> str:
    return format_seconds(seconds) if seconds < 1e8 else "for ever"
