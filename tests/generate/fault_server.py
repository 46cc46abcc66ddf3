"""A small HTTP server: enough of the OpenAI protocol, a record of it, and faults on demand."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

FAULTS = ("500", "503", "429", "reset", "hang", "truncated", "not-json", "no-choices")

Answer = Callable[[dict[str, Any]], str]


def echo_of(body: dict[str, Any]) -> str:
    """A text that depends on what was asked, long and varied enough to pass every rule."""
    asked = json.dumps(body, sort_keys=True)
    draw = random.Random(asked)
    words = ["the", "of", "and", "to", "in", "is", "that", "it"] * 3
    words += [f"word{draw.randrange(10_000)}" for _ in range(80)]
    draw.shuffle(words)
    return " ".join(words)


@dataclass
class Exchange:
    """One request that was to be answered: which, and `time.monotonic` of its two ends.

    digest: of the whole request. written: when all of the answer was with the operating system.
    """

    digest: str
    received: float
    written: float | None = None
    text: str = ""


@dataclass
class FaultServer:
    """Listens on a free port in a thread of its own.

    fault_share: chance that a request meets one of `faults`. poison: requests whose last message
    holds this text always get a 500. delay: seconds before an answer. gate: no answer before it is
    set. slots: answers at a time. hang_seconds: until a request that hangs is dropped.
    """

    answer: Answer = echo_of
    fault_share: float = 0.0
    faults: tuple[str, ...] = FAULTS
    poison: str | None = None
    delay: float = 0.0
    gate: threading.Event | None = None
    slots: int = 10_000
    hang_seconds: float = 3600.0
    models: tuple[str, ...] = ("test-model",)
    status: int = 200
    port: int = 0
    received: list[dict[str, Any]] = field(default_factory=list)
    answered: Counter[str] = field(default_factory=Counter)
    exchanges: list[Exchange] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    most_at_once: int = 0
    record: bool = True

    def __post_init__(self) -> None:
        self._random = random.Random(5)
        self._at_once = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._places = asyncio.Semaphore(self.slots)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._connection, "127.0.0.1", self.port, backlog=2048)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        with contextlib.suppress(RuntimeError):
            self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = head.split("\r\n")
                method, path, _ = lines[0].split(" ")
                headers = {
                    name.lower(): value
                    for name, _, value in (line.partition(": ") for line in lines[1:] if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if not await self._one(method, path, headers, body, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _one(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        writer: asyncio.StreamWriter,
    ) -> bool:
        if path == "/v1/models":
            listed = {"data": [{"id": name} for name in self.models]}
            return self._send(writer, 200, json.dumps(listed).encode())
        if path not in ("/v1/chat/completions", "/v1/completions"):
            return self._send(writer, 404, b"{}")
        asked = json.loads(body)
        if self.record:
            self.received.append(asked)
            self.headers.append(headers)
        prompt = asked["prompt"] if "prompt" in asked else asked["messages"][-1]["content"]
        if self.status != 200:
            return self._send(writer, self.status, b'{"error": "as told"}')
        if self.poison is not None and self.poison in prompt:
            return self._send(writer, 500, b'{"error": "poison"}')
        if self._random.random() < self.fault_share:
            return await self._fault(self._random.choice(self.faults), writer)
        exchange = Exchange(hashlib.sha256(body).hexdigest(), time.monotonic())
        if self.record:
            self.exchanges.append(exchange)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            async with self._places:
                if self.delay:
                    await asyncio.sleep(self.delay)
                # Other questions are answered meanwhile: such as how the server counts.
                while self.gate is not None and not self.gate.is_set():
                    await asyncio.sleep(0.01)
        finally:
            self._at_once -= 1
        text = exchange.text = self.answer(asked)
        said: dict[str, Any] = {"message": {"role": "assistant", "content": text}}
        if "prompt" in asked:
            said = {"text": text}
        reply = {
            "choices": [said | {"finish_reason": "stop"}],
            "usage": {"prompt_tokens": len(prompt) // 4, "completion_tokens": len(text.split())},
        }
        sent = self._send(writer, 200, json.dumps(reply).encode())
        await writer.drain()
        if not (writer.is_closing() or writer.transport.get_write_buffer_size()):
            exchange.written = time.monotonic()
        if self.record:
            self.answered[json.dumps(asked, sort_keys=True)] += 1
        return sent

    async def _fault(self, kind: str, writer: asyncio.StreamWriter) -> bool:
        if kind in ("500", "503"):
            return self._send(writer, int(kind), b"generate rate error")
        if kind == "429":
            return self._send(writer, 429, b"slow down", "Retry-After: 0.01\r\n")
        if kind == "reset":
            writer.transport.abort()
            return False
        if kind == "hang":
            await asyncio.sleep(self.hang_seconds)
            writer.transport.abort()
            return False
        if kind == "truncated":
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"choices": [')
            await writer.drain()
            return False
        content = b"<html>busy</html>" if kind == "not-json" else b'{"id": 1}'
        return self._send(writer, 200, content)

    @staticmethod
    def _send(writer: asyncio.StreamWriter, status: int, content: bytes, more: str = "") -> bool:
        head = (
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{more}"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        writer.write(head.encode() + content)
        return True


@contextlib.contextmanager
def fault_server(**settings: Any) -> Iterator[FaultServer]:
    """A running server, stopped at the end."""
    server = FaultServer(**settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()
