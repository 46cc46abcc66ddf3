"""What the generation room costs over the engines beneath it.

    python benchmarks/engines.py embedded [--documents 32] [--tokens 150]
    python benchmarks/engines.py client   [--requests 20000] [--slots 256] [--delay 0.2]

`embedded`: tokens per second of the embedded engine driven by `generate_shard`, against the same
prompts handed to OpenVINO's pipeline as one batch, same process, same sampling, same seeds.
`client`: requests per second through the engine for servers and the runner, against the ideal of a
server that answers in DELAY seconds in SLOTS places; with this process's CPU time and memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import time
from collections.abc import Iterator
from typing import Any

from synthlaw.common.seeds import derive_seed
from synthlaw.corpus.documents import Document
from synthlaw.generate.embedded import EmbeddedEngine, _Job
from synthlaw.generate.engine import Request, Sampling
from synthlaw.generate.openai import OpenAIEngine
from synthlaw.generate.recipe import load_recipe
from synthlaw.generate.results import NoJournal, Settings
from synthlaw.generate.runner import generate_shard, run_workers
from synthlaw.generate.session import Session


def sources(count: int) -> list[Document]:
    """Texts of about 250 tokens, each different, made of plain words."""
    words = ("river", "trade", "town", "market", "bridge", "winter", "harvest", "school", "music")
    documents = []
    for number in range(count):
        picked = [words[derive_seed("bench", number, n) % len(words)] for n in range(240)]
        documents.append(Document(f"doc-{number}", " ".join(picked)))
    return documents


def raw_batch(engine: EmbeddedEngine, requests: list[Request]) -> tuple[int, float]:
    """Tokens and seconds of the pipeline given all requests at once, nothing of ours between."""
    pipeline = engine._pipeline
    handles = []
    began = time.perf_counter()
    for request in requests:
        job = _Job(
            engine._chat.encode_chat(request.messages()),
            request.sampling,
            request.seed,
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
        )
        handles.append(engine._start(job.ids, engine._config(job))[1])
    while pipeline.has_non_finished_requests():
        pipeline.step()
    tokens = sum(len(handle.read_all()[0].generated_ids) for handle in handles)
    return tokens, time.perf_counter() - began


def embedded(documents: int, tokens: int) -> dict[str, Any]:
    """Both rates, taken in turns so that a change of the machine's load meets both."""
    recipe, sampling = load_recipe("hq"), Sampling(0.2, 0.9, 40, 1.0, tokens)
    engine = EmbeddedEngine()
    docs = sources(documents)
    generate_shard(recipe, docs[:2], engine, Sampling(max_tokens=4), 1)
    rounds = []
    for seed in range(3):
        began = time.perf_counter()
        made = generate_shard(recipe, docs, engine, sampling, seed, input_tokens=250)
        seconds = time.perf_counter() - began
        answers = [*made.documents, *made.dropped]
        requests = [
            Request(a.fields["prompt"], recipe.steps[0].system, sampling, a.fields["seed"])
            for a in answers
        ]
        ours = made.counts["completion_tokens"] / seconds
        raw_tokens, raw_seconds = raw_batch(engine, requests)
        rounds.append({"ours": round(ours, 1), "raw": round(raw_tokens / raw_seconds, 1)})
    shares = sorted(one["ours"] / one["raw"] for one in rounds)
    return {
        "tokens_per_second": rounds,
        "median_share_of_raw": round(shares[1], 3),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


_REPLY = json.dumps(
    {
        "choices": [
            {
                "message": {"role": "assistant", "content": "The river and the town. " * 40},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 300, "completion_tokens": 240},
    }
).encode()


class _Server(asyncio.Protocol):
    """Answers every request after a fixed delay with as many places as there are connections."""

    delay = 0.2

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._held = transport, b""

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, found, body = self._held.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if found and len(body) >= length:
            self._held = b""
            asyncio.get_running_loop().call_later(self.delay, self._answer)

    def _answer(self) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(_REPLY)}\r\n\r\n"
        if not self._transport.is_closing():
            self._transport.write(head.encode() + _REPLY)  # type: ignore[attr-defined]


def _serve(delay: float, ready: Any) -> None:
    async def run() -> None:
        _Server.delay = delay
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Server, "127.0.0.1", 0, backlog=4096)
        ready.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


class _Estimate:
    """A counter that needs no server, so that only completions are measured."""

    def identity(self) -> dict[str, str]:
        return {"by": "bench"}

    async def count(self, text: str) -> int:
        return len(text) // 4

    async def truncate(self, text: str, tokens: int) -> str:
        return text[: 4 * tokens]


def client(requests: int, slots: int, delay: float) -> dict[str, Any]:
    """Rate and cost of `requests` documents, each one request."""
    ready: Any = multiprocessing.get_context("spawn").Queue()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(delay, ready))
    server.start()
    engine = OpenAIEngine(
        base_urls=[f"http://127.0.0.1:{ready.get()}"], model="bench", concurrency=slots
    )
    engine._counter = _Estimate()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    documents: Iterator[Document] = (
        Document(f"doc-{n}", f"Text {n} about rivers. " * 50) for n in range(requests)
    )

    async def run() -> float:
        async with engine:
            session = Session(Settings(load_recipe("hq"), Sampling(), 1), engine)

            async def work() -> None:
                for document in documents:
                    await session.document(document, 0, NoJournal())

            began = time.perf_counter()
            await run_workers(engine.concurrency, work)
            return time.perf_counter() - began

    cpu = time.process_time()
    try:
        seconds = asyncio.run(run())
    finally:
        server.kill()
    cpu = time.process_time() - cpu
    ideal = slots / delay
    return {
        "requests_per_second": round(requests / seconds, 1),
        "ideal": ideal,
        "share_of_ideal": round(requests / seconds / ideal, 3),
        "client_cpu_ms_per_request": round(1000 * cpu / requests, 3),
        "client_cpu_share_of_a_core": round(cpu / seconds, 2),
        "memory_growth_mb": round(
            (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, 1
        ),
    }


def main() -> None:
    """Run one of the two and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("embedded")
    one.add_argument("--documents", type=int, default=32)
    one.add_argument("--tokens", type=int, default=150)
    two = commands.add_parser("client")
    two.add_argument("--requests", type=int, default=20_000)
    two.add_argument("--slots", type=int, default=256)
    two.add_argument("--delay", type=float, default=0.2)
    options = vars(parser.parse_args())
    result = {"embedded": embedded, "client": client}[options.pop("command")](**options)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
