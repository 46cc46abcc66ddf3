"""vLLM started by us on this machine's GPUs, then spoken to as any OpenAI server.

For servers that run for weeks, or on several machines, start them yourself and use `openai`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from synthlaw.common.errors import MissingExtraError, SynthlawError, UsageError
from synthlaw.common.numbers import format_seconds
from synthlaw.common.progress import say
from synthlaw.generate.engines.address import server_address
from synthlaw.generate.engines.http import ConnectError, ExchangeError, HttpClient
from synthlaw.generate.engines.openai import OpenAIEngine

START_SECONDS = 1800.0
"""Longest wait for the server: a large model is read from disk and compiled first."""


class VLLMEngine(OpenAIEngine):
    """Runs `vllm.entrypoints.openai.api_server` while it is entered."""

    def __init__(
        self,
        *,
        model: str | None,
        concurrency: int = 256,
        options: Sequence[str] = (),
        command: Sequence[str] | None = None,
        fold_system: bool = False,
    ) -> None:
        """model: a Hugging Face name or folder. options: further arguments of the server, for
        example `--tensor-parallel-size 8`. command: what to run instead of vLLM's server; it gets
        the same arguments. Raises UsageError without a model, MissingExtraError without vLLM.
        """
        if model is None:
            raise UsageError("engine 'vllm': found no model; name one on the Hugging Face hub")
        if command is None and importlib.util.find_spec("vllm") is None:
            raise MissingExtraError("vllm", "vllm", "the engine 'vllm'")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        root = f"http://127.0.0.1:{port}"
        super().__init__(
            base_urls=[root],
            model=model,
            concurrency=concurrency,
            fold_system=fold_system,
            own=True,
        )
        program = command or [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
        self._command = [*program, "--model", model, "--host", "127.0.0.1", "--port", str(port)]
        self._command += options
        self._root, self._options = root, tuple(options)
        self._process: subprocess.Popen[bytes] | None = None
        self._log: Any = None

    @property
    def label(self) -> str:
        """The model's name."""
        return f"vllm:{self._model}"

    def identity(self) -> dict[str, Any]:
        """Model and server arguments, such as a quantization, that may change answers."""
        return super().identity() | {"kind": "vllm", "options": list(self._options)}

    async def __aenter__(self) -> Self:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the server runs
        self._process = subprocess.Popen(
            self._command, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            await self._wait_until_ready(self._process)
        except BaseException:
            self._stop()
            raise
        await super().__aenter__()
        return self

    async def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        say(f"  starting vLLM with {self._model}")
        began = time.monotonic()
        address = server_address(self._root)
        async with HttpClient(address, timeout=5, connect_timeout=5, direct=True) as client:
            while time.monotonic() - began < START_SECONDS:
                if process.poll() is not None:
                    raise SynthlawError(
                        f"vLLM ended with status {process.returncode}: {self._last_line()}"
                    )
                with contextlib.suppress(ConnectError, ExchangeError):
                    if (await client.get("/models", timeout=5)).status == 200:
                        return
                await asyncio.sleep(0.2)
        raise SynthlawError(f"vLLM did not answer within {format_seconds(START_SECONDS)}")

    def _last_line(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await super().__aexit__(kind, error, trace)
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None
