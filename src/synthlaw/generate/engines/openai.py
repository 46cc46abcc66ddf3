"""Any server that speaks the OpenAI protocol: vLLM, SGLang, llama.cpp, TGI, a hosted service.

Several base URLs share the work: a request goes to the server with the fewest requests of ours in
flight. What went wrong is told by exception type and status code, never by words in a message:

- no connection, or many tries in a row that failed in the next way: the server is down. It is
  asked for its models from time to time; requests wait until it answers, and what they tried
  meanwhile does not count against them. Then one request goes ahead, and the others when it is
  answered;
- timeout, dropped connection, 408, 5xx, a body that is no answer: tried again later, with
  exponential backoff and jitter, or when `Retry-After` says; after `attempts` the request failed;
- 425, 429: tried again in the same way, as long as patience lasts;
- 401, 403, 404: the key, the URL or the model is wrong: the run stops;
- any other 4xx: this request is refused; it failed and the others go on.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import httpx

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.progress import say
from synthlaw.generate.engines.base import Completion, Request, RequestFailedError
from synthlaw.generate.engines.chat import defuse
from synthlaw.generate.engines.counting import (
    EstimateCounter,
    FileCounter,
    ServerCounter,
    TokenCounter,
)
from synthlaw.generate.engines.http import ConnectError, ExchangeError, HttpClient
from synthlaw.generate.engines.retries import (
    KEY_VARIABLES,
    RetryPolicy,
    TryAgainError,
    answer_of,
    text_of,
)

APIS = {"chat": "/chat/completions", "completions": "/completions"}
"""Ways of asking, with their paths."""


@dataclass
class _Server:
    """One base URL and what is known of it.

    state: a circuit breaker's: `closed` while it works, `open` while it is down, `half-open` while
    one request tries whether it works again. failing: tries in a row that failed. troubled_since:
    when it went down without an answer ever since. trips: how often since then.
    """

    url: str
    in_flight: int = 0
    state: Literal["closed", "open", "half-open"] = "closed"
    failing: int = 0
    troubled_since: float | None = None
    trips: int = 0
    client: HttpClient | None = None

    @property
    def takes_requests(self) -> bool:
        return self.state == "closed" or (self.state == "half-open" and not self.in_flight)

    def works(self) -> None:
        """It answered."""
        self.state, self.failing, self.troubled_since, self.trips = "closed", 0, None, 0


def server_url(text: str) -> str:
    """A base URL ending in its version path; `/v1` is added to a bare host.

    Raises UsageError when it is no http or https URL.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(f"base URL: found {text!r}; expected one like http://localhost:8000/v1")
    if parts.path in ("", "/"):
        return f"{parts.scheme}://{parts.netloc}/v1"
    return text.rstrip("/")


class OpenAIEngine:
    """Requests to one or more servers that serve the same model."""

    def __init__(
        self,
        *,
        base_urls: Sequence[str],
        model: str | None = None,
        concurrency: int = 64,
        tokenizer: str | None = None,
        api: str = "chat",
        fold_system: bool = False,
        retry: RetryPolicy | None = None,
    ) -> None:
        """model: None for the first that the first server lists. concurrency: requests in flight
        over all servers. tokenizer: path of a tokenizer.json; None asks the server (vLLM answers)
        and else estimates. api: `chat`, or `completions` for base models, which get all turns as
        one text. fold_system: put the system prompt before the user's, for models whose template
        has no system turn (Mistral 7B Instruct v0.1, the paper's generator, is one). Raises
        UsageError for a URL, file or api that cannot be right.
        """
        if api not in APIS:
            raise UsageError(f"api: found {api!r}; expected one of {', '.join(APIS)}")
        if not base_urls:
            raise UsageError(
                "engine 'openai': found no base URL; give one like http://localhost:8000/v1"
            )
        if concurrency < 1:
            raise UsageError(f"concurrency: found {concurrency}; expected 1 or more")
        self.written = self._asked = 0
        self._servers = [_Server(server_url(url)) for url in dict.fromkeys(base_urls)]
        self._model, self._concurrency = model, concurrency
        self._api, self._fold_system = api, fold_system
        self._retry = retry or RetryPolicy()
        self._counter: TokenCounter | None = FileCounter(Path(tokenizer)) if tokenizer else None
        self._jitter = random.Random()
        self._places: asyncio.Semaphore | None = None
        self._revivals: set[asyncio.Task[None]] = set()

    @property
    def concurrency(self) -> int:
        """Requests in flight over all servers."""
        return self._concurrency

    @property
    def label(self) -> str:
        """The model's name as the server knows it."""
        return f"openai:{self._resolved()[0]}"

    def identity(self) -> dict[str, Any]:
        """Model and way of counting; not the URL, so that a run may move to other machines."""
        model, counter = self._resolved()
        value = {"kind": "openai", "model": model, "tokenizer": counter.identity()}
        return value | {"api": self._api, "fold_system": self._fold_system}

    def _resolved(self) -> tuple[str, TokenCounter]:
        """Model and counter, asked of the server at first need.

        Raises UsageError when the server does not list the model that was not named.
        """
        if self._model is not None and self._counter is not None:
            return self._model, self._counter
        url = self._servers[0].url
        with httpx.Client(headers=_headers(), timeout=self._retry.connect_timeout) as client:
            if self._model is None:
                self._model = _first_model(client, url)
            if self._counter is None:
                asked = ServerCounter(url.removesuffix("/v1"), self._model, _headers())
                self._counter = asked if asked.works(client) else EstimateCounter()
                if isinstance(self._counter, EstimateCounter):
                    say(
                        "  the server does not count tokens; taking 4 bytes for one "
                        "(a tokenizer.json file counts exactly)"
                    )
        return self._model, self._counter

    @property
    def in_flight(self) -> dict[str, int]:
        """Requests in flight by base URL."""
        return {server.url: server.in_flight for server in self._servers}

    @property
    def waiting(self) -> int:
        """Requests that are not with a server: no place is free, or they wait for another try."""
        return self._asked - sum(server.in_flight for server in self._servers)

    def plain(self, text: str) -> str:
        """Text with a space inside every known control word: the server tokenizes, not we."""
        return defuse(text)

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._resolved)
        for server in self._servers:
            server.client = HttpClient(
                server.url,
                _headers(),
                timeout=self._retry.timeout,
                connect_timeout=self._retry.connect_timeout,
            )
        self._places = asyncio.Semaphore(self._concurrency)
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
        for server in self._servers:
            server.works()
            if server.client is not None:
                server.client.close()
                server.client = None

    async def count_tokens(self, text: str) -> int:
        """Tokens in `text`, as counted for this engine."""
        assert self._counter is not None, "the engine is not entered"
        return await self._counter.count(text)

    async def truncate(self, text: str, tokens: int) -> str:
        """The longest prefix of `text` of at most `tokens` tokens."""
        assert self._counter is not None, "the engine is not entered"
        return await self._counter.truncate(text, tokens)

    async def complete(self, request: Request) -> Completion:
        """Answer one request, trying again as the module says.

        Raises RequestFailedError for this request alone, SynthlawError when the run must stop.
        """
        assert self._places is not None, "the engine is not entered"
        body = json.dumps(self._body(request)).encode()
        self._asked += 1
        try:
            async with self._places:
                return await self._answer(request, body)
        finally:
            self._asked -= 1

    async def _answer(self, request: Request, body: bytes) -> Completion:
        """Try until there is an answer or there will be none."""
        began, tries, waits = time.monotonic(), 0, 0
        while True:
            server = await self._choose()
            try:
                answer = await self._post(server, body)
            except TryAgainError as error:
                waits += 1
                tries += self._note_failure(server, error)
                late = error.busy and time.monotonic() - began > self._retry.patience
                if tries >= self._retry.attempts or late:
                    raise RequestFailedError(error.reason, error.response) from error
                await asyncio.sleep(max(self._retry.wait(waits, self._jitter), error.wait))
            else:
                server.works()
                return await self._completion(request, answer)

    async def _choose(self) -> _Server:
        """The working server with the fewest requests in flight; waits while all are down.

        Raises SynthlawError when that takes longer than patience lasts.
        """
        while True:
            up = [server for server in self._servers if server.takes_requests]
            if up:
                return min(up, key=lambda server: server.in_flight)
            now = time.monotonic()
            since = max(server.troubled_since or now for server in self._servers)
            if now - since > self._retry.patience:
                raise SynthlawError(
                    f"no server could be reached for {self._retry.patience:.0f} s: "
                    f"{', '.join(s.url for s in self._servers)}. Start it and run again: "
                    "what was answered is kept"
                )
            await asyncio.sleep(min(0.05, self._retry.patience / 10))

    async def _post(self, server: _Server, body: bytes) -> dict[str, Any]:
        """One try. Raises TryAgainError when another is due, SynthlawError when none is."""
        assert server.client is not None, "the engine is not entered"
        server.in_flight += 1
        try:
            response = await server.client.post(APIS[self._api], body)
        except ConnectError as error:
            self._is_down(server, str(error))
            raise TryAgainError("no-connection", str(error)) from error
        except ExchangeError as error:
            raise TryAgainError(error.reason, str(error)) from error
        finally:
            server.in_flight -= 1
        return answer_of(response, server.url)

    def _body(self, request: Request) -> dict[str, Any]:
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self._model,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": request.seed,
        }
        messages = request.messages()
        if self._fold_system and request.system:
            system = messages.pop(0)["content"]
            messages[0]["content"] = f"{system}\n\n{messages[0]['content']}"
        if self._api == "chat":
            body["messages"] = messages
        else:
            body["prompt"] = "\n\n".join(message["content"] for message in messages)
        if sampling.frequency_penalty:
            body["frequency_penalty"] = sampling.frequency_penalty
        # Not in OpenAI's own protocol, so sent only when asked for.
        if sampling.top_k:
            body["top_k"] = sampling.top_k
        if sampling.repetition_penalty != 1.0:
            body["repetition_penalty"] = sampling.repetition_penalty
        return body

    def _note_failure(self, server: _Server, error: TryAgainError) -> bool:
        """Whether this failed try counts against its request; many in a row take a server down."""
        if error.busy or server.state == "open":
            return False
        server.failing += 1
        if server.state == "half-open" or server.failing >= self._retry.breaker:
            self._is_down(server, error.reason)
        return True

    def _is_down(self, server: _Server, reason: str) -> None:
        if server.state != "open":
            server.state = "open"
            server.trips += 1
            if server.troubled_since is None:
                server.troubled_since = time.monotonic()
                say(f"  {server.url} is down ({reason}); waiting for it")
            revival = asyncio.create_task(self._revive(server))
            self._revivals.add(revival)
            revival.add_done_callback(self._revivals.discard)

    async def _revive(self, server: _Server) -> None:
        """Ask a server for its models until it answers, whatever it answers below 500.

        The more often it went down without an answer, the longer the waits.
        """
        assert server.client is not None
        tries = server.trips - 1
        while True:
            tries += 1
            await asyncio.sleep(self._retry.wait(tries, self._jitter))
            try:
                response = await server.client.get("/models", timeout=30)
            except (ConnectError, ExchangeError):
                continue
            if response.status < 500:
                if server.trips == 1:
                    say(f"  {server.url} answers again")
                server.state, server.failing = "half-open", 0
                return

    async def _completion(self, request: Request, answer: dict[str, Any]) -> Completion:
        choice = answer["choices"][0]
        text = text_of(choice)
        usage = answer.get("usage") or {}
        prompt_tokens = usage.get("prompt_tokens")
        completion_tokens = usage.get("completion_tokens")
        if prompt_tokens is None:
            prompt_tokens = await self.count_tokens(request.system + request.prompt)
        if completion_tokens is None:
            completion_tokens = await self.count_tokens(text)
        reason = str(choice.get("finish_reason") or "stop")
        self.written += int(completion_tokens)
        return Completion(text, reason, int(prompt_tokens), int(completion_tokens))


def _headers() -> dict[str, str]:
    for variable in KEY_VARIABLES:
        if os.environ.get(variable):
            return {"Authorization": f"Bearer {os.environ[variable]}"}
    return {}


def _first_model(client: httpx.Client, url: str) -> str:
    try:
        response = client.get(f"{url}/models").raise_for_status()
        return str(response.json()["data"][0]["id"])
    except (httpx.HTTPError, ValueError, KeyError, IndexError, TypeError) as error:
        raise UsageError(
            f"{url}/models: the server does not list a model ({type(error).__name__}); "
            "name one, and see that the URL is right"
        ) from error
