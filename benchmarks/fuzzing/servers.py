"""Answers of servers: mutated JSON in mutated HTTP, read over a socket as in a run."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
from typing import Any

from synthlaw.common.errors import SynthlawError
from synthlaw.generate.engines.address import server_address
from synthlaw.generate.engines.http import ConnectError, ExchangeError, HttpClient, Response
from synthlaw.generate.engines.reasoning import answer_alone
from synthlaw.generate.engines.retries import RefusedError, TryAgainError, answer_of
from synthlaw.generate.engines.usage import reported_completion

TEXT = "The river runs past a town where people work with stone. " * 12
MARKS = ["<think>", "</think>", "<|channel|>final<|message|>", "<|im_end|>", "`", "[/INST]", "<s>"]
ODD: list[Any] = [
    *(None, True, 0, -1, 1e400, float("nan"), 10**400, "", "\ud83d", "\x00\x1b[31m", [], {}),
    *([[]], {"": None}, "9" * 5000, TEXT, "502", 429, "insufficient_quota", [None], ["a", 1]),
]
STATUSES = (200, 200, 200, 200, 201, 204, 301, 400, 402, 404, 418, 429, 500, 503, 599, 999)
HEADERS = [
    *(
        "Retry-After: 3",
        "Retry-After: inf",
        "Retry-After: Wed, 99 Xxx 2026",
        "Location: http://[::",
    ),
    *("Content-Encoding: gzip", "Content-Encoding: br", "Transfer-Encoding: chunked", "X: \u00e9"),
    *(
        "Content-Length: 5",
        "Content-Length: -1",
        "Content-Length: 99999999999",
        "Connection: close",
    ),
    *("Content-Type: text/event-stream; charset=klingon", "A" * 9000 + ": 1", ": nameless", "Bad"),
]


class _Servers:
    """One answer: over the wire, and its body as if the wire had been right."""

    def make(self, rng: random.Random) -> tuple[bytes, Response]:
        body = _bytes(rng, _body(rng))
        status = rng.choice(STATUSES)
        wire = _bytes(rng, _http(rng, status, body))
        return wire, Response(status, _headers(rng), body)

    def read(self, given: tuple[bytes, Response]) -> str:
        # A client waits for a body that is announced and does not come: no connection stays open.
        return f"{_outcome_on_the_wire(given[0])}, {_outcome(given[1])}"


TARGETS = {"servers": _Servers()}


def _body(draw: random.Random) -> bytes:
    value = _mutated(draw, _answer(draw), 0)
    data = json.dumps(value).encode()
    match draw.randrange(8):
        case 0:
            return b"data: " + data + b"\n\ndata: [DONE]\n\n"
        case 1:
            return b"<html><title>" + data + b"</title>" + b"<!--" * draw.randrange(2000)
        case 2:
            deep = draw.randrange(100_000)
            return b'{"choices":' + b"[" * deep + b"]" * draw.choice((deep, 0)) + b"}"
        case _:
            return data


def _answer(draw: random.Random) -> dict[str, Any]:
    text = "".join(draw.choices([*MARKS, TEXT, " ", "\n"], k=draw.randrange(6)))
    content: Any = draw.choice([text, None, [{"type": "text", "text": text}], {"text": text}])
    message = {"content": content, draw.choice(["reasoning", "refusal", "tool_calls"]): "x"}
    usage = {"completion_tokens": draw.randrange(2000), "prompt_tokens": 7}
    details = {"completion_tokens_details": {"reasoning_tokens": draw.randrange(2000)}}
    error = {"error": {"message": text, "code": draw.choice(ODD), "type": "x"}}
    choice = {"message": message, "finish_reason": draw.choice(["stop", "length", None, 7])}
    return draw.choice(
        [{"choices": [choice], "usage": usage | details}, error, {"detail": [error]}]
    )


def _mutated(draw: random.Random, value: Any, depth: int) -> Any:
    if draw.random() < 0.08:
        return draw.choice(ODD)
    if isinstance(value, dict):
        kept = {k: _mutated(draw, v, depth + 1) for k, v in value.items() if draw.random() < 0.97}
        return kept | ({draw.choice(["code", "message", "text"]): 1} if draw.random() < 0.1 else {})
    if isinstance(value, list):
        return [_mutated(draw, one, depth + 1) for one in value] * draw.choice((1, 1, 1, 0, 3))
    return value


def _bytes(draw: random.Random, data: bytes) -> bytes:
    """Sometimes with pieces taken out, repeated, overwritten."""
    while draw.random() < 0.3 and data:
        at, length = draw.randrange(len(data)), draw.randrange(1, 60)
        piece = draw.choice(
            [b"", draw.randbytes(4), data[at : at + length] * draw.choice((2, 500)), b"\r\n"]
        )
        data = data[:at] + piece + data[at + length :]
    return data


def _headers(draw: random.Random) -> dict[str, str]:
    lines = draw.choices([line for line in HEADERS if ": " in line], k=draw.randrange(3))
    return dict(line.split(": ", 1) for line in lines)


def _http(draw: random.Random, status: int, body: bytes) -> bytes:
    lines = [f"HTTP/1.{draw.randrange(2)} {status} X", *draw.choices(HEADERS, k=draw.randrange(3))]
    if "Content-Encoding: gzip" in lines:
        body = gzip.compress(body * draw.choice((1, 50)))
    if draw.random() < 0.7:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


def _outcome(response: Response) -> str:
    """What a run makes of a response; anything not foreseen is raised."""
    try:
        answer = answer_of(response, server_address("http://x"))
    except (TryAgainError, RefusedError, SynthlawError) as error:
        assert str(error).isprintable()
        return type(error).__name__
    (answer.text + answer.aside + answer.finish_reason).encode()
    tokens = reported_completion(answer)
    assert tokens is None or 0 < tokens <= len(answer.text.encode()) + 2
    parted = answer_alone(answer.text, answer.text[:50])
    return "in doubt" if parted.doubt else "answer"


def _outcome_on_the_wire(data: bytes) -> str:
    async def run() -> str:
        async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(data)
                await writer.drain()
                writer.close()
            except (OSError, asyncio.IncompleteReadError):
                pass

        server = await asyncio.start_server(reply, "127.0.0.1", 0)
        address = server_address(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with server, HttpClient(address, timeout=3, connect_timeout=3) as client:
            try:
                return _outcome(await client.post("/chat/completions", b"{}"))
            except (ConnectError, ExchangeError) as error:
                return getattr(error, "reason", "no connection")

    return asyncio.run(run())
