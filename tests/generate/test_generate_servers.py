"""The engine for servers: what is sent, what is tried again, what stops, who gets the load."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fault_server import FAULTS, FaultServer, fault_server
from tokenizers import Tokenizer, models, pre_tokenizers

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.corpus.documents import Document
from synthlaw.generate.engines.address import server_address
from synthlaw.generate.engines.base import Completion, Request, RequestFailedError, Sampling
from synthlaw.generate.engines.openai import OpenAIEngine
from synthlaw.generate.engines.registry import engine_by
from synthlaw.generate.engines.retries import RetryPolicy
from synthlaw.generate.recipe import load_recipe
from synthlaw.generate.runner import generate_documents
from synthlaw.generate.settings import Settings

QUICK = RetryPolicy(attempts=40, first=0.001, longest=0.01, timeout=0.5, patience=0.5)
SAMPLING = Sampling()


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


def engine_for(*servers: FaultServer, retry: RetryPolicy = QUICK, **settings: Any) -> OpenAIEngine:
    urls = [server.url for server in servers]
    return OpenAIEngine(base_urls=urls, model="test-model", retry=retry, **settings)


def ask(engine: OpenAIEngine, *prompts: str, sampling: Sampling = SAMPLING) -> list[Any]:
    """Answers or errors, in order."""

    async def run() -> list[Any]:
        async with engine:
            requests = [Request(prompt, "", sampling, 1) for prompt in prompts]
            tasks = [engine.complete(request) for request in requests]
            return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(run())


def test_prompts_arrive_as_the_template_around_the_document(server: FaultServer) -> None:
    document = Document("d", "Tea — grown “high” up:\n{it} is 100% [xxxx]; é, 茶, \u200fשלום")
    for name in ("hq", "qa", "textbook"):
        recipe = load_recipe(name).without_rules(("chapters",) if name == "textbook" else ())
        result = generate_documents(Settings(recipe, SAMPLING, 3), [document], engine_for(server))
        assert not result.failed
        for made in [*result.documents, *result.dropped, *result.aside]:
            step = next(s for s in recipe.steps if str(made.fields["step"]).startswith(s.name))
            sent = [r for r in server.received if r["seed"] == made.fields["seed"]]
            assert [m["content"] for m in sent[0]["messages"]] == [
                step.system,
                made.fields["prompt"],
            ]
            values = {"document": document.text, "chapters": 10}
            values["audience"] = recipe.audience_of("d", 3)
            if step.name == "chapter":
                values["outline"] = result.aside[0].text
                values["chapter"] = str(made.fields["step"]).removeprefix("chapter-")
            assert made.fields["prompt"] == step.fill(values)


def test_every_sampling_value_is_sent_so_that_no_default_of_the_server_takes_its_place(
    server: FaultServer,
) -> None:
    ask(engine_for(server), "a")
    ask(engine_for(server), "b", sampling=Sampling(0.2, 0.9, 40, 1.1, 300, 0.5))
    plain, tuned = (r for r in server.received)
    papers = {"temperature": 0.7, "top_p": 0.95, "max_tokens": 2048, "seed": 1, "top_k": 0}
    off = {"min_p": 0.0, "repetition_penalty": 1.0, "repeat_penalty": 1.0}
    off |= {"frequency_penalty": 0.0, "presence_penalty": 0.0}
    assert (papers | off).items() <= plain.items()
    asked = {"top_k": 40, "repetition_penalty": 1.1, "repeat_penalty": 1.1, "max_tokens": 300}
    assert (asked | {"frequency_penalty": 0.5}).items() <= tuned.items()


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_tried_again_until_it_is_answered(fault: str) -> None:
    # An answer that is none is paid for, so it is asked for only a few times.
    share = 0.1 if fault in ("not-json", "no-choices") else 0.5
    with fault_server(fault_share=share, faults=(fault,)) as server:
        answers = ask(engine_for(server), *map(str, range(12)))
    assert server.received[12:]
    assert all(isinstance(answer, Completion) for answer in answers)


def test_a_request_that_always_fails_fails_alone() -> None:
    retry = RetryPolicy(attempts=3, first=0.001, longest=0.01)
    with fault_server(poison="bad one") as server:
        answers = ask(engine_for(server, retry=retry), "good", "the bad one", "fine")
    assert isinstance(answers[1], RequestFailedError)
    assert answers[1].reason == "http-500"
    assert "poison" in answers[1].response
    assert [isinstance(answer, Completion) for answer in answers] == [True, False, True]
    assert sum("bad one" in r["messages"][-1]["content"] for r in server.received) == 3


def test_retry_after_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float, *rest: Any) -> None:
        waits.append(seconds)
        await sleep(min(seconds, 0.01), *rest)

    monkeypatch.setattr("synthlaw.generate.engines.servers.asyncio.sleep", noted)
    with fault_server(fault_share=0.5, faults=("429",)) as server:
        # The server asks for 0.01 s where the policy alone would wait far less.
        retry = RetryPolicy(attempts=40, first=1e-6, longest=1e-6)
        ask(engine_for(server, retry=retry), *map(str, range(6)))
    assert waits
    assert all(wait == pytest.approx(0.01) for wait in waits)


def test_load_goes_to_the_server_with_the_shorter_queue() -> None:
    with fault_server(delay=0.2) as slow, fault_server(delay=0.01) as fast:
        answers = ask(engine_for(slow, fast, concurrency=8), *map(str, range(120)))
    assert all(isinstance(answer, Completion) for answer in answers)
    assert len(fast.received) > 3 * len(slow.received) > 0


def test_concurrency_is_bounded_and_used() -> None:
    with fault_server(delay=0.02) as server:
        ask(engine_for(server, concurrency=7), *map(str, range(60)))
    assert server.most_at_once == 7


def test_a_server_that_is_down_is_waited_for_and_nothing_is_lost() -> None:
    with fault_server() as first:
        port = first.port
    retry = RetryPolicy(attempts=2, first=0.01, longest=0.05, patience=30)
    late = FaultServer(port=port)
    engine = engine_for(late, retry=retry, tokenizer=None)

    start = threading.Timer(0.5, late.start)
    start.start()
    try:
        answers = ask(engine, *map(str, range(20)))
        assert late.received
    finally:
        start.join()
        late.stop()
    assert len(answers) == 20
    assert all(isinstance(answer, Completion) for answer in answers)


def test_a_server_that_only_fails_is_tried_by_one_request_until_it_answers() -> None:
    retry = RetryPolicy(attempts=4, first=0.02, longest=0.02, patience=30, breaker=6)
    with fault_server(status=500) as server:
        engine = engine_for(server, retry=retry, concurrency=30)

        async def run() -> list[Any]:
            async with engine:
                tasks = [
                    asyncio.create_task(engine.complete(Request(str(n), "", SAMPLING, 1)))
                    for n in range(30)
                ]
                await asyncio.sleep(0.3)
                # All at once, then one by one, since the server lists its model but answers none.
                assert 30 < len(server.received) < 60
                assert max(engine.in_flight.values()) <= 1
                assert engine.waiting >= 20
                server.status = 200
                return await asyncio.gather(*tasks, return_exceptions=True)

        answers = asyncio.run(run())
    failed = [answer for answer in answers if isinstance(answer, RequestFailedError)]
    # A request fails only by tries of its own.
    assert len(failed) <= len(server.received) // 4 - 6
    assert all(isinstance(one, Completion) for one in answers if one not in failed)


def test_when_one_of_two_servers_is_down_the_other_does_the_work() -> None:
    with fault_server() as gone:
        pass
    with fault_server() as alive:
        answers = ask(engine_for(gone, alive), *map(str, range(30)))
    assert all(isinstance(answer, Completion) for answer in answers)
    assert len(alive.received) == 30


def test_patience_ends() -> None:
    with fault_server() as gone:
        pass
    began = time.monotonic()
    with pytest.raises(SynthlawError, match="could be reached"):
        ask(engine_for(gone), "x")
    assert time.monotonic() - began >= QUICK.patience


def test_the_first_listed_model_is_taken(server: FaultServer) -> None:
    engine = engine_by(kind="openai", base_url=[server.url])
    assert engine.identity()["model"] == "test-model"
    with pytest.raises(UsageError, match="does not list a model"):
        engine_by(kind="openai", base_url=[server.url + "/nothing"]).identity()


def test_settings_that_cannot_be_right_are_refused() -> None:
    for wrong in ("localhost:8000", "ftp://x", "http://"):
        with pytest.raises(UsageError, match="base URL"):
            server_address(wrong)
    with pytest.raises(UsageError, match="no base URL"):
        engine_by(kind="openai")
    with pytest.raises(UsageError, match="embedded, openai, transformers, vllm"):
        engine_by(kind="opneai")
    for name, value in (("temperature", -1.0), ("top_p", 0.0), ("top_k", -1), ("max_tokens", 0)):
        with pytest.raises(UsageError, match=name):
            Sampling(**{name: value})


def test_control_words_reach_a_server_defused(server: FaultServer) -> None:
    text = "a <|im_end|> b [INST] c </s> d <s>e <<SYS>> <start_of_turn> f <div> [1] <|x"
    made = generate_documents(
        Settings(load_recipe("hq"), SAMPLING, 1), [Document("d", text)], engine_for(server)
    ).documents[0]
    sent = server.received[0]["messages"][-1]["content"]
    assert sent == made.fields["prompt"]
    for word in ("<|im_end|>", "[INST]", "</s>", "<s>", "<<SYS>>", "<start_of_turn>"):
        assert word not in sent
        assert word[0] + " " + word[1:] in sent
    assert "f <div> [1] <|x" in sent


def test_a_model_without_a_system_turn_and_a_base_model_get_one_text(server: FaultServer) -> None:
    request = Request("Say.", "Be kind.", SAMPLING, 1)
    for settings in ({"fold_system": True}, {"api": "completions"}):
        engine = engine_for(server, **settings)

        async def run(engine: OpenAIEngine = engine) -> Completion:
            async with engine:
                return await engine.complete(request)

        assert len(asyncio.run(run()).text) > 100
    folded, plain = server.received
    assert folded["messages"] == [{"role": "user", "content": "Be kind.\n\nSay."}]
    assert plain["prompt"] == "Be kind.\n\nSay."
    assert "messages" not in plain
    with pytest.raises(UsageError, match="chat, completions"):
        engine_for(server, api="chats")


def test_the_document_is_cut_by_the_models_tokenizer_never_the_prompt(
    server: FaultServer, tmp_path: Any
) -> None:
    words = {word: n for n, word in enumerate(["[UNK]", "tea", "is", "a", "plant"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    engine = engine_for(server, tokenizer=str(path))
    document = Document("d", "tea is a plant " * 100)
    generate_documents(Settings(load_recipe("hq"), SAMPLING, 1, 6), [document], engine)
    sent = server.received[0]["messages"][-1]["content"]
    assert ": tea is a plant tea is. Provide the rephrased article" in sent
    assert sent.endswith("Rephrased article:")
    other = engine_for(server)
    assert engine.identity()["tokenizer"] != other.identity()["tokenizer"]
