"""A stand-in for a model server, as lean as Python allows, to measure what a client costs.

    python benchmarks/stand_in_server.py --delay 0.2 --slots 256 --stats stats.json

Speaks enough of the OpenAI protocol. Answers each request DELAY seconds after it takes one of SLOTS
places; what finds none queues. Prints its port. On SIGTERM it writes to STATS how many requests it
answered, the instants of the first request and of the last answer, its CPU seconds, and the most
requests that were in its places at once.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import signal
import time
import zlib
from collections import deque
from pathlib import Path
from typing import Any

ANSWER_WORDS = 430
"""Of English: about 550 tokens, the paper's length of a rephrased article."""

COMMON = (
    "the of and to in a is that for it as was with be by on not are this have from or had an they "
    "which one were all there would their we been has when who will more no if out so what"
)


def _vocabulary() -> list[str]:
    """Common English words, then some thousand made-up ones."""
    draw = random.Random(1)
    syllables = [a + b for a in "bcdfghlmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "er")]
    made = {"".join(draw.choices(syllables, k=draw.randint(2, 4))) for _ in range(6000)}
    # Sorted first: the order of a set is another in each process.
    return COMMON.split() + sorted(sorted(made), key=lambda word: draw.random())


WORDS = _vocabulary()
ZIPF = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(WORDS))))
"""Words are drawn with the frequencies of natural text, so that filters work as they do on it."""


def english(seed: int, words: int) -> str:
    """Sentences of plain words, different for each seed."""
    draw = random.Random(seed)
    sentences = []
    while words > 0:
        length = min(words, draw.randint(8, 22))
        sentence = " ".join(draw.choices(WORDS, cum_weights=ZIPF, k=length))
        sentences.append(sentence.capitalize() + ".")
        words -= length
    return " ".join(sentences)


def _responses() -> list[bytes]:
    made = []
    for seed in range(64):
        body = json.dumps(
            {
                "id": f"cmpl-{seed}",
                "object": "chat.completion",
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": english(seed, ANSWER_WORDS)},
                        "finish_reason": "stop",
                    }
                ],
                "usage": {"prompt_tokens": 600, "completion_tokens": 550, "total_tokens": 1150},
            }
        ).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        made.append(head.encode() + b"\r\n\r\n" + body)
    return made


class Slots:
    """Places that are taken for a fixed time, with a queue before them."""

    def __init__(self, delay: float, slots: int, tokenizes: bool = False) -> None:
        self.delay, self.slots, self.tokenizes = delay, slots, tokenizes
        self.tokenized = 0
        self.responses = _responses()
        self.waiting: deque[tuple[Connection, int]] = deque()
        self.taken = self.most = self.answered = 0
        self.first = self.last = 0.0

    def ask(self, connection: Connection, content: bytes) -> None:
        """A whole request has arrived; its answer depends on it alone."""
        self.first = self.first or time.time()
        number = zlib.crc32(content) % len(self.responses)
        if self.taken == self.slots:
            self.waiting.append((connection, number))
            return
        self.taken += 1
        self.most = max(self.most, self.taken)
        asyncio.get_running_loop().call_later(self.delay, self._answer, connection, number)

    def _answer(self, connection: Connection, number: int) -> None:
        self.answered += 1
        connection.transport.write(self.responses[number])
        self.last = time.time()
        if self.waiting:
            later = asyncio.get_running_loop().call_later
            later(self.delay, self._answer, *self.waiting.popleft())
        else:
            self.taken -= 1


class Connection(asyncio.Protocol):
    """One request at a time."""

    transport: asyncio.Transport

    def __init__(self, slots: Slots) -> None:
        self._slots, self._held, self._size = slots, b"", 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Look for the end of a request."""
        self._held = self._held + data if self._held else data
        if not self._size:
            end = self._held.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._held[:end].lower()
            length = head.partition(b"content-length:")[2].split(b"\r\n")[0]
            self._size = end + 4 + int(length or 0)
        if len(self._held) < self._size:
            return
        path = self._held.split(b" ", 2)[1]
        content = self._held[self._held.find(b"\r\n\r\n") + 4 :]
        self._held, self._size = b"", 0
        if path.startswith(b"/v1/chat"):
            self._slots.ask(self, content)
        elif path == b"/v1/models":
            self._send(200, b'{"data": [{"id": "stand-in"}]}')
        elif path in (b"/tokenize", b"/detokenize") and self._slots.tokenizes:
            self._slots.tokenized += 1
            self._send(200, _tokens_or_text(path, content))
        else:
            self._send(404, b"{}")

    def _send(self, status: int, body: bytes) -> None:
        head = b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
        self.transport.write(head + body)


def _tokens_or_text(path: bytes, content: bytes) -> bytes:
    """A tokenizer whose tokens are four characters each, spelled as numbers."""
    asked = json.loads(content)
    if path == b"/tokenize":
        data = asked["prompt"].encode("utf-32-le")
        whole = data + bytes(-len(data) % 16)
        ids = [int.from_bytes(whole[at : at + 16 : 4], "little") for at in range(0, len(whole), 16)]
        return json.dumps({"tokens": ids, "count": len(ids)}).encode()
    text = b"".join(one.to_bytes(4, "little") for one in asked["tokens"]).rstrip(b"\0")
    return json.dumps({"prompt": text.decode("latin-1")}).encode()


async def serve(delay: float, slots: int, stats: Path | None, tokenizes: bool = False) -> None:
    """Serve on a free port until SIGTERM."""
    loop, places, stop = asyncio.get_running_loop(), Slots(delay, slots, tokenizes), asyncio.Event()
    server = await loop.create_server(lambda: Connection(places), "127.0.0.1", 0, backlog=4096)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()
    if stats is not None:
        found: dict[str, Any] = {"answered": places.answered, "most_at_once": places.most}
        found |= {"first": places.first, "last": places.last, "cpu_s": time.process_time()}
        found |= {"tokenized": places.tokenized}
        stats.write_text(json.dumps(found))


def main() -> None:
    """Parse and serve."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--delay", type=float, default=0.2)
    parser.add_argument("--slots", type=int, default=256)
    parser.add_argument("--stats", type=Path)
    parser.add_argument("--tokenizes", action="store_true", help="answer /tokenize, as vLLM does")
    options = parser.parse_args()
    asyncio.run(serve(options.delay, options.slots, options.stats, options.tokenizes))


if __name__ == "__main__":
    main()
