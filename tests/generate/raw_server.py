"""A server that answers every request with bytes that a test chose, and notes what it was asked."""

from __future__ import annotations

import contextlib
import json
import random
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

_DRAW = random.Random(7)
_COMMON = "the of and to in is that it by with town river mill stone bridge water old long"
TEXT = " ".join(
    " ".join(_DRAW.choices(_COMMON.split(), k=10)).capitalize() + "." for _ in range(16)
)
"""Varied enough to pass every rule."""


@dataclass(frozen=True)
class Asked:
    """One request. body: its JSON, None where there is none."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any

    @property
    def prompt(self) -> str:
        """The last user turn."""
        return str(self.body["messages"][-1]["content"])


Reply = Callable[[Asked], bytes]


def http(body: Any, status: int = 200, headers: str = "", kind: str = "application/json") -> bytes:
    """A response with a JSON value or bytes as body."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{headers}Content-Length: {len(data)}"
    return head.encode() + b"\r\n\r\n" + data


def completion(content: Any = TEXT, reason: Any = "stop", **more: Any) -> dict[str, Any]:
    """A chat completion. more: of the message; `usage` of the whole."""
    usage = {"usage": more.pop("usage")} if "usage" in more else {}
    choice = {"message": {"content": content, **more}, "finish_reason": reason}
    return {"choices": [choice], **usage}


def failure(message: str, status: int, **more: Any) -> bytes:
    """An error as OpenAI's servers send it."""
    return http({"error": {"message": message, **more}}, status)


@dataclass
class RawServer:
    """reply: what POSTs to a completions path get. Everything else gets 404 or a model's name.

    closes: end the connection after each answer.
    """

    reply: Reply
    closes: bool = False
    others: dict[str, Reply] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def prompts(self) -> list[str]:
        """What was to be answered, in order."""
        return [one.prompt for one in self.asked if one.path.partition("?")[0].endswith("tions")]

    def answer(self, asked: Asked) -> bytes:
        """The bytes for one request."""
        self.asked.append(asked)
        path = asked.path.partition("?")[0].rstrip("/")
        for end, reply in self.others.items():
            if path.endswith(end):
                return reply(asked)
        if path.endswith("/models"):
            return http({"data": [{"id": "raw"}]})
        return self.reply(asked) if path.endswith("/completions") else http({}, 404)


@contextlib.contextmanager
def raw_server(reply: Reply, **settings: Any) -> Iterator[RawServer]:
    """A running server, stopped at the end."""
    state = RawServer(reply, **settings)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                while (line := self.rfile.readline()).strip():
                    method, path, _ = line.decode().split()
                    headers = {}
                    while (line := self.rfile.readline()).strip():
                        name, _, value = line.decode("latin-1").partition(":")
                        headers[name.lower()] = value.strip()
                    body = self.rfile.read(int(headers.get("content-length", 0)))
                    asked = Asked(method, path, headers, json.loads(body) if body else None)
                    self.wfile.write(state.answer(asked))
                    if state.closes:
                        return

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True
        request_queue_size = 256

    with Server(("127.0.0.1", state.port), Handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
