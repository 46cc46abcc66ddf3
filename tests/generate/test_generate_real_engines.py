"""Against real servers: vLLM, named by SYNTHLAW_TEST_VLLM, and llama.cpp, from xllamacpp.

    SYNTHLAW_TEST_VLLM=vllm-env/bin/vllm pytest -m engine

vLLM serves a model of 0.1M parameters that synthlaw itself trains and exports here, on the CPU too.
It takes minutes to start, so one start serves several checks.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from synthlaw.common.packages import packaged_file
from synthlaw.generate.engines.base import Completion, Request, Sampling
from synthlaw.generate.engines.openai import OpenAIEngine
from synthlaw.generate.engines.openvino import SMOLLM2
from synthlaw.generate.engines.retries import RetryPolicy
from synthlaw.generate.engines.vllm import VLLMEngine
from synthlaw.generate.engines.vllm_options import Option, OwnServer

pytestmark = [pytest.mark.slow, pytest.mark.engine, pytest.mark.timeout(3000)]

VLLM = os.environ.get("SYNTHLAW_TEST_VLLM")
needs_vllm = pytest.mark.skipif(not VLLM, reason="SYNTHLAW_TEST_VLLM names no vLLM command")
needs_llama = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp is not installed"
)
WORDS = [
    "the",
    "river",
    "runs",
    "by",
    "a",
    "town",
    "where",
    "people",
    "trade",
    "tea",
    "iron",
    "honey",
]


def text_of(words: int, seed: int) -> str:
    draw = random.Random(seed)
    return " ".join(draw.choice(WORDS) for _ in range(words))


# vLLM


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model by `train` and `export`, whose generation_config.json would spoil sampling."""
    folder = tmp_path_factory.mktemp("tiny")
    # Chats of few words, so that it soon writes whole words and ends its answers.
    chats = [
        f"system: be brief\nuser: {text_of(2, n)}\nassistant: {text_of(6, -n)}" for n in range(3000)
    ]
    lines = [json.dumps({"id": f"d{n}", "text": chat}) for n, chat in enumerate(chats)]
    (folder / "text.jsonl").write_text("\n".join(lines))
    for command in (
        "tokenize --input text.jsonl --vocab 512 --out tokens",
        "train --source natural=tokens --share natural=1 --size 0.1M --tokens 60k --context 64 "
        "--max-epochs 9 --batch-tokens 512 --learning-rate 1e-2 --dtype fp32 --out run",
        "export --model run --tokenizer tokens/tokenizer.json --context 4096 --out model",
    ):
        subprocess.run([sys.executable, "-m", "synthlaw", *command.split()], cwd=folder, check=True)
    template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
    (folder / "model/chat_template.jinja").write_text(template)
    config = folder / "model/generation_config.json"
    spoiling = {"top_k": 1, "repetition_penalty": 1.8, "temperature": 0.01, "max_new_tokens": 3}
    config.write_text(json.dumps(json.loads(config.read_text()) | spoiling))
    return folder / "model"


OPTIONS: dict[str, Option] = {
    "max-model-len": 4096,
    "dtype": "float32",
    "enforce-eager": True,
    # vLLM's CPU runner fails on a request with a seed whose prompt is cut into chunks.
    "enable-chunked-prefill": False,
    "max-num-batched-tokens": 8192,
    "max-num-seqs": 16,
}

CPU_SETTINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    # A proxy that does not answer: our own server is spoken to without.
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
}


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CPU_SETTINGS.items():
        monkeypatch.setenv(name, value)


def processes_of(folder: Path) -> list[int]:
    """Processes of this user whose environment or command names `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                text = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                if os.fsencode(folder) in text:
                    found.append(int(entry.name))
    return found


def soon(done: Callable[[], object], seconds: float = 60) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if done():
            return True
        time.sleep(0.2)
    return False


def usage_of(engine: VLLMEngine, request: Request) -> dict[str, int]:
    """What the server itself says of a request, sent without the engine."""
    asked = urllib.request.Request(
        f"{engine._addresses[0].url}/chat/completions",
        json.dumps(engine._body(request)).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {engine._key}"},
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(asked, timeout=300) as answer:
        usage: dict[str, int] = json.load(answer)["usage"]
        return usage


@needs_vllm
@pytest.mark.usefixtures("on_cpu")
def test_our_sampling_rules_and_a_killed_vllm_is_replaced(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTHLAW_TEST_MARK", str(tmp_path))
    assert VLLM is not None
    server = OwnServer(VLLM, OPTIONS, tmp_path / "vllm.log")
    engine = VLLMEngine(model=str(model), server=server, concurrency=8)
    sampling = Sampling(temperature=1.0, top_p=1.0, max_tokens=24)
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))

    async def batch(seeds: range) -> list[Completion]:
        asked = [Request("tea iron", "be brief", sampling, seed) for seed in seeds]
        return list(await asyncio.gather(*map(engine.complete, asked)))

    async def run() -> None:
        async with engine:
            made = await batch(range(8))
            # The model's own top_k 1 would make one text of them, its max_new_tokens 3 tokens.
            assert len({one.text for one in made}) > 4
            assert max(one.completion_tokens for one in made) > 3
            # vLLM counts the end token; an answer that ended has one token less than it says.
            long = Request("tea iron", "be brief", Sampling(0.3, max_tokens=1500), 5)
            ended = await engine.complete(long)
            assert ended.finish_reason == "stop", ended
            usage = await asyncio.to_thread(usage_of, engine, long)
            assert ended.completion_tokens == usage["completion_tokens"] - 1, ended
            assert ended.prompt_tokens == usage["prompt_tokens"]
            text = text_of(300, 99)
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            assert await engine.count_tokens(text) == len(ids)
            cut = await engine.truncate(text, 50)
            assert text.startswith(cut)
            assert await engine.count_tokens(cut) <= 50
            began = processes_of(tmp_path)
            assert len(began) >= 3  # guard, main process, its engine
            assert engine._process is not None
            first = engine._process.pid
            os.kill(first, signal.SIGKILL)
            again = await batch(range(8))  # waits while vLLM starts anew
            assert [one.text for one in again] == [one.text for one in made]
            assert engine._process is not None
            assert engine._process.pid != first
            assert not set(began) & set(processes_of(tmp_path))

    asyncio.run(run())
    assert soon(lambda: not processes_of(tmp_path))


OURS = """
import asyncio, json, sys
from pathlib import Path
from synthlaw.generate.engines.vllm import VLLMEngine
from synthlaw.generate.engines.vllm_options import OwnServer

async def run():
    command, options, log, model = sys.argv[1:]
    server = OwnServer(command, json.loads(options), Path(log))
    async with VLLMEngine(model=model, server=server):
        await asyncio.sleep(3000)

asyncio.run(run())
"""


@needs_vllm
@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_process_of_vllm_outlives_ours(
    model: Path, tmp_path: Path, number: signal.Signals
) -> None:
    assert VLLM is not None
    log = tmp_path / "vllm.log"
    ours = subprocess.Popen(
        [sys.executable, "-c", OURS, VLLM, json.dumps(OPTIONS), str(log), str(model)],
        env=os.environ | {"SYNTHLAW_TEST_MARK": str(tmp_path)},
        start_new_session=True,
    )
    try:
        # By then there are its main process, the engine's and a tracker of resources.
        assert soon(lambda: log.exists() and b"EngineCore" in log.read_bytes(), 1200)
        assert len(processes_of(tmp_path)) >= 4
        os.killpg(ours.pid, number)
        ours.wait(60)
        assert soon(lambda: not processes_of(tmp_path))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(ours.pid, signal.SIGKILL)


@needs_vllm
@pytest.mark.usefixtures("on_cpu")
def test_an_option_that_vllm_refuses_is_told_in_its_words(model: Path, tmp_path: Path) -> None:
    assert VLLM is not None
    server = OwnServer(VLLM, {"no-such-option": 3}, tmp_path / "vllm.log")

    async def run() -> None:
        async with VLLMEngine(model=str(model), server=server):
            pytest.fail("it started")

    with pytest.raises(Exception, match=r"no-such-option.*vllm\.log"):
        asyncio.run(run())


# llama.cpp


class LlamaServer:
    """A llama.cpp server of the packaged model in a process of its own."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        script = Path(__file__).with_name("llama_server.py")
        command = [sys.executable, str(script), str(packaged_file(SMOLLM2)), str(port)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def up(self) -> bool:
        assert self.process.poll() is None, "llama.cpp's server ended"
        with contextlib.suppress(OSError):
            return bool(urllib.request.urlopen(f"{self.url}/health", timeout=5).status == 200)
        return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def llama_servers(count: int) -> Iterator[list[LlamaServer]]:
    """So many servers that answer."""
    servers = [LlamaServer() for _ in range(count)]
    try:
        for server in servers:
            assert soon(server.up, 300)
        yield servers
    finally:
        for server in servers:
            server.kill()


PATIENCE = RetryPolicy(attempts=20, first=0.1, longest=1.0, patience=120.0)
SHORT = Sampling(temperature=0.8, max_tokens=8)


@needs_llama
@pytest.mark.network
def test_llama_counts_cuts_and_answers() -> None:
    async def run(url: str) -> None:
        text = text_of(300, 5)
        async with OpenAIEngine(base_urls=[url], retry=PATIENCE) as engine:
            assert engine.identity()["tokenizer"] == {"by": "server"}
            whole = await engine.count_tokens(text)
            assert whole > 200
            cut = await engine.truncate(text, 50)
            assert text.startswith(cut)
            assert 45 <= await engine.count_tokens(cut) <= 50
            made = await engine.complete(Request("Write a long story of a river.", "", SHORT, 1))
            assert made.finish_reason == "length"
            assert made.completion_tokens == 8
            one_word = Request("Say OK and nothing else.", "", Sampling(0.0, max_tokens=200), 1)
            made = await engine.complete(one_word)
            assert made.finish_reason == "stop"
            assert abs(made.completion_tokens - await engine.count_tokens(made.text)) <= 1

    with llama_servers(1) as servers:
        asyncio.run(run(servers[0].url))


@needs_llama
@pytest.mark.network
def test_one_of_two_servers_dies_and_the_other_does_everything() -> None:
    async def run(servers: list[LlamaServer]) -> None:
        urls = [server.url for server in servers]
        async with OpenAIEngine(base_urls=urls, retry=PATIENCE, concurrency=4) as engine:
            before = await asyncio.gather(
                *(engine.complete(Request(text_of(9, n), "", SHORT, n)) for n in range(4))
            )
            tasks = [
                asyncio.create_task(engine.complete(Request(text_of(9, n), "", SHORT, n)))
                for n in range(12)
            ]
            await asyncio.sleep(0.2)
            servers[0].kill()  # the first: it is the one that would be asked to count
            after = await asyncio.gather(*tasks)
            assert all(one.completion_tokens for one in [*before, *after])
            for number in range(6):
                text = text_of(200, number)
                assert await engine.count_tokens(text) > 100
                assert text.startswith(await engine.truncate(text, 20))

    with llama_servers(2) as servers:
        asyncio.run(run(servers))
