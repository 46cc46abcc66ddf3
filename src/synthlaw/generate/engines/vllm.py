"""vLLM started by us on this machine, then spoken to as any OpenAI server.

It is run by the command `vllm` of the environment that vLLM was installed in, which need not be
ours. If it dies it is started once more; if it dies again the run ends with the cause. For servers
that run for weeks, or on several machines, start them yourself and use `openai`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.guarded_process import GuardedProcess
from synthlaw.common.numbers import format_seconds
from synthlaw.common.progress import say
from synthlaw.generate.engines.address import server_address
from synthlaw.generate.engines.base import Completion, Request
from synthlaw.generate.engines.http import ConnectError, ExchangeError, HttpClient
from synthlaw.generate.engines.model_folder import folder_digest, is_folder
from synthlaw.generate.engines.openai import OpenAIEngine
from synthlaw.generate.engines.vllm_options import OwnServer, arguments

SILENT_SECONDS = 1800.0
"""Longest silence of a server that starts: while it loads, downloads or compiles, it says so."""

TELL_EVERY_SECONDS = 15.0
"""Between two lines about a server that is still starting."""

_LOOK_EVERY_SECONDS = 0.2

T = TypeVar("T")


class VLLMEngine(OpenAIEngine):
    """Runs `vllm serve` while it is entered."""

    def __init__(
        self,
        *,
        model: str | None,
        server: OwnServer,
        concurrency: int = 256,
        tokenizer: str | None = None,
        api: str = "chat",
        fold_system: bool = False,
    ) -> None:
        """model: a Hugging Face name or folder. Everything else as for OpenAIEngine.

        Raises UsageError without a model or for options that cannot be passed on.
        """
        if model is None or not model.strip():
            raise UsageError("engine 'vllm': found no model; name one on the Hugging Face hub")
        super().__init__(
            base_urls=[f"http://127.0.0.1:{_free_port()}"],
            model=model,
            concurrency=concurrency,
            tokenizer=tokenizer,
            api=api,
            fold_system=fold_system,
            own=True,
        )
        self._folder = Path(model) if is_folder(model) else None
        # A key of its own keeps other users of the machine out.
        self._key = os.environ.get("VLLM_API_KEY") or secrets.token_urlsafe(24)
        self._addresses = [server_address(self._addresses[0].url, self._key)]
        self._server, self._options = server, arguments(server.options)
        self._process: GuardedProcess | None = None
        self._minder: asyncio.Task[None] | None = None

    @property
    def label(self) -> str:
        """The model's name; of a folder its own and the head of its digest."""
        if self._folder is None:
            return f"vllm:{self._model}"
        return f"vllm:{self._folder.name}@{folder_digest(self._folder)[:12]}"

    def identity(self) -> dict[str, Any]:
        """Model and server arguments, such as a quantization, that may change answers.

        A folder is known by its files: a study may be moved.
        """
        found = super().identity() | {"kind": "vllm", "options": self._options}
        if self._folder is not None:
            found |= {"model": self._folder.name, "model_sha256": folder_digest(self._folder)}
        return found

    async def __aenter__(self) -> Self:
        await self._start()
        try:
            await super().__aenter__()
        except BaseException:
            await self._stop()
            raise
        self._minder = asyncio.create_task(self._mind())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._minder is not None:
            self._minder.cancel()
            with contextlib.suppress(asyncio.CancelledError, SynthlawError):
                await self._minder
            self._minder = None
        try:
            await super().__aexit__(kind, error, trace)
        finally:
            await self._stop()

    async def count_tokens(self, text: str) -> int:
        """Tokens in `text`. Raises SynthlawError when the server is gone for good."""
        return await self._while_served(super().count_tokens(text))

    async def truncate(self, text: str, tokens: int) -> str:
        """As OpenAIEngine. Raises SynthlawError when the server is gone for good."""
        return await self._while_served(super().truncate(text, tokens))

    async def complete(self, request: Request) -> Completion:
        """As OpenAIEngine. Raises SynthlawError when the server is gone for good."""
        return await self._while_served(super().complete(request))

    async def _while_served(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns, unless the server is gone for good before."""
        assert self._minder is not None, "the engine is not entered"
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task, self._minder}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
        finally:
            task.cancel()
        # One exception object per request: each gets a traceback of its own.
        raise SynthlawError(str(self._minder.exception()))

    async def _mind(self) -> None:
        """Start the server again when it dies; raises SynthlawError when that does not help."""
        first = await self._ended()
        say(f"  {first}; starting it again, once")
        await self._stop()
        try:
            await self._start()
        except SynthlawError as error:
            raise SynthlawError(f"{first}, and did not start again: {error}") from error
        raise SynthlawError(
            f"{await self._ended()}, for the second time. What was answered is kept: "
            "run again when the cause is mended"
        )

    async def _ended(self) -> str:
        """Waits for the server's end and tells of it."""
        assert self._process is not None
        while (how := self._process.ended()) is None:
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
        return f"vLLM {how}: {self._process.last_errors()}"

    async def _start(self) -> None:
        """Run the server until it answers. Raises SynthlawError with the cause when it does not."""
        program = self._server.program()
        port = self._addresses[0].url.removesuffix("/v1").rpartition(":")[2]
        fixed = ["--host=127.0.0.1", f"--port={port}", "--generation-config=vllm"]
        command = [*program, "serve", str(self._model), *fixed, *self._options]
        # Tools that vLLM compiles with lie beside it in its environment.
        path = os.pathsep.join([str(Path(program[0]).parent), os.environ.get("PATH", os.defpath)])
        environment = os.environ | {"VLLM_API_KEY": self._key, "PATH": path}
        say(f"  starting vLLM with {self._model}; this takes minutes (log: {self._server.log})")
        self._process = GuardedProcess(command, environment=environment, log=self._server.log)
        try:
            await self._wait_until_ready(self._process)
        except BaseException:
            await self._stop()
            raise

    async def _wait_until_ready(self, process: GuardedProcess) -> None:
        began = told = heard = time.monotonic()
        written = 0
        async with HttpClient(
            self._addresses[0], timeout=5, connect_timeout=5, direct=True
        ) as client:
            while (now := time.monotonic()) - heard < SILENT_SECONDS:
                if (how := process.ended()) is not None:
                    raise SynthlawError(f"vLLM {how}: {process.last_errors()}")
                with contextlib.suppress(ConnectError, ExchangeError):
                    if (await client.get("/models", timeout=5)).status == 200:
                        say(f"  vLLM answers after {format_seconds(now - began)}")
                        return
                if process.output_bytes() != written:
                    written, heard = process.output_bytes(), now
                if now - told >= TELL_EVERY_SECONDS:
                    told = now
                    say(f"  vLLM loads, {format_seconds(now - began)}: {process.last_line()[:50]}")
                await asyncio.sleep(_LOOK_EVERY_SECONDS)
        raise SynthlawError(
            f"vLLM said nothing for {format_seconds(SILENT_SECONDS)} and does not answer: "
            f"{process.last_errors()}"
        )

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await asyncio.to_thread(process.stop)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
