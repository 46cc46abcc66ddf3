"""Any server that speaks the OpenAI protocol: vLLM, SGLang, llama.cpp, TGI, a hosted service.

Several base URLs share the work: a request goes to the server with the fewest requests of ours in
flight. What went wrong is told by exception type, status and an error's short name; words in a
message decide only how sampling is spelled (dialect.py):

- no connection, or many tries in a row that failed in the next way: the server is down. It is
  asked for its models from time to time; requests wait until it answers, and what they tried
  meanwhile does not count against them. Then one request goes ahead, and the others when it is
  answered;
- timeout, dropped connection, 408, 409, 423, 424, 498, 5xx: tried again later, with exponential
  backoff and jitter, or when `Retry-After` says; after `attempts` the request failed;
- 425, 429: tried again in the same way, as long as patience lasts;
- an answer that is none (a web page, no choices): a few times, then as the next;
- any other 4xx: refused. See jury.py for whether that concerns the document or the run, and
  dialect.py for sampling that a server wants otherwise;
- the quota is used up (402, `insufficient_quota`), an unknown host, a bad certificate: the run
  stops.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.progress import say
from synthlaw.common.quick_json import to_json
from synthlaw.generate.engines.address import ServerAddress, api_key, server_address
from synthlaw.generate.engines.answers import Answer, one_line, said
from synthlaw.generate.engines.base import Completion, Request, RequestFailedError
from synthlaw.generate.engines.chat import defuse
from synthlaw.generate.engines.counting import (
    EstimateCounter,
    FileCounter,
    ServerCounter,
    TokenCounter,
)
from synthlaw.generate.engines.dialect import Dialect
from synthlaw.generate.engines.jury import Jury
from synthlaw.generate.engines.retries import RefusedError, RetryPolicy, TryAgainError, answer_of
from synthlaw.generate.engines.servers import Server, ServerPool
from synthlaw.generate.engines.usage import UsageReader

APIS = {"chat": "/chat/completions", "completions": "/completions"}
"""Ways of asking, with their paths."""

_LONGEST_TOKEN = 100
"""Characters per token of an answer, at most: a longer text is none that was asked for."""


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
        own: bool = False,
    ) -> None:
        """model: None for the first that the first server lists. concurrency: requests in flight
        over all servers. tokenizer: path of a tokenizer.json; None asks the server (vLLM and
        llama.cpp answer) and else estimates. api: `chat`, or `completions` for base models, which
        get all turns as one text. fold_system: put the system prompt before the user's, for models
        whose template has no system turn (Mistral 7B Instruct v0.1, the paper's generator, is one).
        own: a vLLM that we start ourselves: no key, no proxy, and it counts tokens. Raises
        UsageError for a URL, key, file or api that cannot be right.
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
        self._addresses = _distinct(base_urls, None if own else api_key())
        self._own, self._retry = own, retry or RetryPolicy()
        self._model = model.strip() or None if model else None
        self._concurrency, self._api, self._fold_system = concurrency, api, fold_system
        self._counter: TokenCounter | None = FileCounter(Path(tokenizer)) if tokenizer else None
        if own and self._model:
            self._counter = self._counter or ServerCounter(self._question, self._model)
        self._dialect = Dialect()
        self._failures, self._without_text = Counter[str](), Counter[str]()
        self._pool: ServerPool | None = None
        self._juries: dict[str, Jury] = {}
        self._places: asyncio.Semaphore | None = None
        self._usage: UsageReader | None = None

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
        """Model and counter; outside of `async with` they are asked for without patience.

        Raises UsageError when the server does not list the model that was not named.
        """
        if self._model is None or self._counter is None:

            async def ask() -> None:
                quick = replace(self._retry, patience=0.0, attempts=2)
                async with ServerPool(self._addresses, quick, direct=self._own) as self._pool:
                    await self._resolve(self._pool)

            # In a thread, since the caller may be within a loop of its own.
            with concurrent.futures.ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, ask()).result()
            self._pool = None
        assert self._model is not None and self._counter is not None
        return self._model, self._counter

    async def _resolve(self, pool: ServerPool) -> None:
        if self._model is None:
            self._model = await _first_model(pool)
        if self._counter is None:
            asked = ServerCounter(self._question, self._model)
            self._counter = asked if await asked.works() else EstimateCounter()
            if isinstance(self._counter, EstimateCounter):
                say(
                    "  the server does not count tokens; taking 4 bytes for one "
                    "(a tokenizer.json file counts exactly)"
                )

    @property
    def in_flight(self) -> dict[str, int]:
        """Requests in flight by base URL."""
        if self._pool is None:
            return {address.url: 0 for address in self._addresses}
        return {server.url: server.in_flight for server in self._pool.servers}

    @property
    def waiting(self) -> int:
        """Requests that are not with a server: no place is free, or they wait for another try."""
        return self._asked - sum(self.in_flight.values())

    def plain(self, text: str) -> str:
        """Text with a space inside every known control word: the server tokenizes, not we."""
        return defuse(text)

    async def __aenter__(self) -> Self:
        pool = ServerPool(self._addresses, self._retry, direct=self._own)
        self._pool = await pool.__aenter__()
        try:
            await self._resolve(pool)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        assert self._counter is not None
        self._usage = UsageReader(self.count_tokens, self._counter.exact)
        self._juries = {server.url: self._jury_of(server) for server in pool.servers}
        self._places = asyncio.Semaphore(self._concurrency)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.__aexit__(kind, error, trace)
        _tell("requests failed", self._failures)
        _tell("answers without a text", self._without_text)

    async def count_tokens(self, text: str) -> int:
        """Tokens in `text`, as counted for this engine; an estimate where the server fails."""
        assert self._counter is not None, "the engine is not entered"
        try:
            return await self._counter.count(text)
        except RequestFailedError:
            return await EstimateCounter().count(text)

    async def truncate(self, text: str, tokens: int) -> str:
        """The longest prefix of `text` of at most `tokens` tokens. Raises RequestFailedError."""
        assert self._counter is not None, "the engine is not entered"
        return await self._counter.truncate(text, tokens)

    async def complete(self, request: Request) -> Completion:
        """Answer one request, trying again as the module says.

        Raises RequestFailedError for this request alone, SynthlawError when the run must stop.
        """
        assert self._places is not None, "the engine is not entered"
        self._asked += 1
        try:
            async with self._places:
                return await self._answer(request)
        except RequestFailedError as error:
            self._failures[f"{error.reason}: {said(error.response)}"] += 1
            raise
        finally:
            self._asked -= 1

    async def _answer(self, request: Request) -> Completion:
        """Try until there is an answer or there will be none."""
        assert self._pool is not None, "the engine is not entered"
        began, tries, waits, poor = time.monotonic(), 0, 0, 0
        heard_before = self.written
        while True:
            server = await self._pool.choose()
            version = self._dialect.version
            try:
                answer = await self._post(server, request)
            except RefusedError as refusal:
                if self._dialect.learn(refusal.reason, refusal.said, request, version):
                    continue
                raise await self._juries[server.url].judge(refusal, request) from refusal
            except TryAgainError as error:
                waits += 1
                poor += error.answered
                tries += self._pool.note_failure(server, error)
                if poor >= self._retry.bad_answers:
                    refused = RefusedError(error.reason, error.said)
                    judged = await self._juries[server.url].judge(refused, request)
                    raise judged from error
                late = error.busy and time.monotonic() - began > self._retry.patience
                if late and self.written == heard_before:
                    raise _only_busy(server, self._retry, error) from error
                if tries >= self._retry.attempts or late:
                    raise RequestFailedError(error.reason, error.said) from error
                await self._pool.pause(server, error, waits)
            else:
                server.works()
                self._juries[server.url].answered()
                return await self._completion(request, answer)

    async def _post(self, server: Server, request: Request) -> Answer:
        """One try. Raises TryAgainError, RefusedError, SynthlawError."""
        assert self._pool is not None, "the engine is not entered"
        body = to_json(self._body(request))
        server.in_flight += 1
        try:
            response = await self._pool.exchange(server, APIS[self._api], body)
        finally:
            server.in_flight -= 1
        answer = answer_of(response, server.address)
        if len(answer.text) > _LONGEST_TOKEN * (request.sampling.max_tokens + 100):
            raise TryAgainError(
                "too-long", f"an answer of {len(answer.text)} characters", answered=True
            )
        return answer

    def _jury_of(self, server: Server) -> Jury:
        async def ask(request: Request) -> Answer:
            while True:
                version = self._dialect.version
                try:
                    return await self._post(server, request)
                except RefusedError as refusal:
                    if not self._dialect.learn(refusal.reason, refusal.said, request, version):
                        raise

        return Jury(server.url, ask)

    async def _question(self, path: str, body: dict[str, Any]) -> Any:
        assert self._pool is not None, "the engine is not entered"
        return await self._pool.question(path, body)

    def _body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self._model} | self._dialect.fields(request)
        messages = request.messages()
        if self._fold_system and request.system:
            system = messages.pop(0)["content"]
            messages[0]["content"] = f"{system}\n\n{messages[0]['content']}"
        if self._api == "chat":
            body["messages"] = messages
        else:
            body["prompt"] = "\n\n".join(message["content"] for message in messages)
        return body

    async def _completion(self, request: Request, answer: Answer) -> Completion:
        assert self._usage is not None, "the engine is not entered"
        prompt_tokens = await self._usage.prompt_tokens(answer, request.system + request.prompt)
        tokens = await self._usage.completion_tokens(answer)
        self.written += max(tokens, 1)
        if answer.aside:
            self._without_text[answer.aside] += 1
        return Completion(
            answer.text,
            answer.finish_reason,
            prompt_tokens,
            tokens,
            aside=answer.aside,
            unsent=self._dialect.unsent,
        )


def _tell(what: str, seen: Counter[str]) -> None:
    """How often, and what the servers said most often, if they said it at all."""
    if seen:
        words, times = seen.most_common(1)[0]
        share = f" (the commonest, {times} times: " if len(seen) > 1 else " ("
        say(f"  {what}: {seen.total()}{share}{words})")
        seen.clear()


def _distinct(base_urls: Sequence[str], key: str | None) -> list[ServerAddress]:
    """Addresses in order, each URL once."""
    addresses = [server_address(url, key) for url in base_urls]
    return list({address.url: address for address in addresses}.values())


def _only_busy(server: Server, retry: RetryPolicy, error: TryAgainError) -> SynthlawError:
    return SynthlawError(
        f"{server.url}: nothing was answered in {retry.patience:.0f} s, the server says that it is "
        f"busy ({error.reason}): {error.said} Run again later: what was answered is kept"
    )


async def _first_model(pool: ServerPool) -> str:
    """The name of the model that a server lists first. Raises UsageError when it lists none."""
    url = pool.servers[0].url
    try:
        listed = await pool.question("/models")
    except RequestFailedError as error:
        raise UsageError(
            f"{url}/models: the server does not list a model ({error}); name one, and see that "
            "the URL and the key are right"
        ) from error
    if isinstance(listed, dict):
        listed = listed.get("data") or listed.get("models")
    first = listed[0] if isinstance(listed, list) and listed else None
    if isinstance(first, dict):
        first = first.get("id") or first.get("model") or first.get("name")
    if not isinstance(first, str) or not first.strip():
        raise UsageError(
            f"{url}/models: the server does not list a model ({one_line(str(listed)[:200])}); "
            "name one, and see that the URL is right"
        )
    return first
