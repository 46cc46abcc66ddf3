"""The HTTP side of generation: wire forms, addresses, keys, proxies, refusals."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
import ssl
import subprocess
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
import zstandard
from raw_server import TEXT, Asked, completion, failure, http, raw_server

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.corpus.documents import Document
from synthlaw.generate.engines import http as client_module
from synthlaw.generate.engines.address import api_key, server_address
from synthlaw.generate.engines.base import Completion, Request, RequestFailedError, Sampling
from synthlaw.generate.engines.http import proxy_for
from synthlaw.generate.engines.openai import OpenAIEngine
from synthlaw.generate.engines.retries import RetryPolicy
from synthlaw.generate.recipe import load_recipe
from synthlaw.generate.runner import generate_documents
from synthlaw.generate.settings import Settings

QUICK = RetryPolicy(attempts=4, first=0.001, longest=0.01, timeout=5, patience=1.0)
PLAIN = Sampling()


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no key from whoever runs the tests."""
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)
    monkeypatch.delenv("SYNTHLAW_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def ask(
    *urls: str, prompts: Any = ("x",), sampling: Sampling = PLAIN, **settings: Any
) -> list[Any]:
    """Answers or errors, in order."""

    async def run() -> list[Any]:
        settings.setdefault("model", "raw")
        settings.setdefault("retry", QUICK)
        async with OpenAIEngine(base_urls=urls, **settings) as engine:
            tasks = [engine.complete(Request(prompt, "", sampling, 1)) for prompt in prompts]
            return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(run())


def ok(asked: Asked) -> bytes:
    return http(completion())


BODY = json.dumps(completion()).encode()
CHUNKS = b"".join(b"%X;a=1\r\n%b\r\n" % (len(p), p) for p in (BODY[:90], BODY[90:]))
_SQUEEZE = zlib.compressobj(wbits=-15)
RAW_DEFLATE = _SQUEEZE.compress(BODY) + _SQUEEZE.flush()
WIRE = {
    "plain": http(BODY),
    "gzip": http(gzip.compress(BODY), headers="Content-Encoding: gzip\r\n"),
    "x-gzip": http(gzip.compress(BODY), headers="content-encoding: X-GZIP\r\n"),
    "gzip without a header": http(gzip.compress(BODY)),
    "gzip in the header alone": http(BODY, headers="Content-Encoding: gzip\r\n"),
    "raw deflate": http(RAW_DEFLATE, headers="Content-Encoding: deflate\r\n"),
    "zstd": http(zstandard.compress(BODY), headers="Content-Encoding: zstd\r\n"),
    "deflate": http(zlib.compress(BODY), headers="Content-Encoding: deflate\r\n"),
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
    + http(BODY),
    "processing": b"HTTP/1.1 102 Processing\r\n\r\n" + http(BODY),
    "chunked with trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + CHUNKS
    + b"0\r\nX-Sum: 1\r\n\r\n",
    "to the end of the connection": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "line feeds alone": b"HTTP/1.1 200 OK\nContent-Length: %d\n\n" % len(BODY) + BODY,
    "another 2xx": http(BODY, 201),
    "byte order mark": http(b"\xef\xbb\xbf" + BODY),
    "odd headers": http(BODY, headers=f"X-Long: {'a' * 20_000}\r\nX-Odd: \xe9\r\nX-None:\r\n"),
}


@pytest.mark.parametrize("form", WIRE)
def test_an_answer_is_read_in_every_form_on_the_wire(form: str) -> None:
    closes = form in ("to the end of the connection", "HTTP/1.0")
    with raw_server(lambda asked: WIRE[form], closes=closes) as server:
        answers = ask(server.url, prompts="abc")
    assert [answer.text for answer in answers] == [TEXT] * 3
    assert len(server.prompts) == 3


def test_another_character_set_is_read_as_the_header_says() -> None:
    text = TEXT.replace("river", "Fluß", 1)
    body = json.dumps(completion(text), ensure_ascii=False).encode("latin-1")
    reply = http(body, kind="application/json; charset=ISO-8859-1")
    with raw_server(lambda asked: reply) as server:
        assert [one.text for one in ask(server.url)] == [text]


def test_a_model_without_a_system_turn_ends_the_run_with_the_way_out() -> None:
    def strict(asked: Asked) -> bytes:
        roles = [turn["role"] for turn in asked.body["messages"]]
        return failure("System role not supported", 400) if "system" in roles else ok(asked)

    documents = [Document(str(n), f"Page {n} of the town by the river. " * 9) for n in range(40)]
    with raw_server(strict) as server:
        engine = OpenAIEngine(base_urls=[server.url], model="raw", retry=QUICK)
        with pytest.raises(SynthlawError, match=r"--fold-system.*System role not supported"):
            generate_documents(Settings(load_recipe("hq"), PLAIN, 1), documents, engine)
        assert len(server.prompts) < 80
        engine = OpenAIEngine(base_urls=[server.url], model="raw", retry=QUICK, fold_system=True)
        assert not generate_documents(
            Settings(load_recipe("hq"), PLAIN, 1), documents, engine
        ).failed


def test_a_trial_that_is_refused_by_chance_ends_no_run() -> None:
    refused = threading.Event()

    def moody(asked: Asked) -> bytes:
        if "one word" in asked.prompt or "doc 0" in asked.prompt:
            refused.set()
            time.sleep(0.2)  # meanwhile the others are answered
            return failure("flagged", 400)
        refused.wait(5)
        return ok(asked)

    with raw_server(moody) as server:
        answers = ask(server.url, prompts=[f"doc {n}" for n in range(8)])
    assert isinstance(answers[0], RequestFailedError)
    assert [getattr(one, "text", one) for one in answers[1:]] == [TEXT] * 7


BROKEN = {
    "an unknown compression": http(b"\x1b\x00", headers="Content-Encoding: br\r\n"),
    "bad compression": http(b"none", headers="Content-Encoding: gzip\r\n"),
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "a bad length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}",
    "a cut body": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{}",
    "bad chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-6\r\n{}\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("form", BROKEN)
def test_what_cannot_be_read_costs_that_document_alone(form: str) -> None:
    def reply(asked: Asked) -> bytes:
        return BROKEN[form] if "bad" in asked.prompt else http(completion())

    with raw_server(reply, closes=True) as server:
        answers = ask(server.url, prompts=["good", "bad", "fine"])
    assert [type(answer) for answer in answers] == [Completion, RequestFailedError, Completion]


@pytest.mark.parametrize("declared", [True, False])
def test_an_endless_body_is_not_read_to_its_end(
    declared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "LARGEST_BODY", 100_000)
    huge = b"x" * 200_000
    bomb = http(gzip.compress(bytes(10_000_000)), headers="Content-Encoding: gzip\r\n")
    for body in (http(huge) if declared else b"HTTP/1.1 200 OK\r\n\r\n" + huge, bomb):
        with raw_server(lambda asked, body=body: body, closes=True) as server:
            assert "too-large" in str(ask(server.url)[0])


def test_an_answer_longer_than_asked_for_is_none() -> None:
    with raw_server(lambda asked: http(completion("word " * 20_000))) as server:
        (answer,) = ask(server.url, sampling=Sampling(max_tokens=10))
    assert "too-long" in str(answer)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_on_the_host_keeps_the_question(status: int) -> None:
    def reply(asked: Asked) -> bytes:
        if asked.path == "/v1/chat/completions":
            return http(b"", status, "Location: /v1/other/completions\r\n")
        return http(completion())

    with raw_server(reply) as server:
        (answer,) = ask(server.url)
    assert answer.text == TEXT
    assert [one.method for one in server.asked[-2:]] == ["POST", "POST"]
    assert server.asked[-1].body == server.asked[-2].body


def test_a_redirect_to_another_host_gets_neither_key_nor_document(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SYNTHLAW_API_KEY", "secret-123")
    with raw_server(ok) as other:

        def reply(asked: Asked) -> bytes:
            place = f"http://127.0.0.1:{other.port}/login?next=1"
            return http(b"", 307, f"Location: {place}\r\n")

        with raw_server(reply) as server:
            (answer,) = ask(server.url)
    assert not other.asked
    assert f"127.0.0.1:{other.port}/login" in str(answer)
    assert isinstance(answer, SynthlawError)
    with raw_server(lambda asked: http(b"", 308, f"Location: {asked.path}\r\n")) as server:
        assert "redirects" in str(ask(server.url)[0])


def test_proxies_of_the_environment_count_for_every_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with raw_server(ok, others=TOKENIZER) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
        (answer,) = ask("http://model.invalid:8000/v1", model=None)
        assert answer.text == TEXT
        paths = {one.path for one in proxy.asked}
        assert paths == {
            f"http://model.invalid:8000{path}"
            for path in ("/v1/models", "/tokenize", "/detokenize", "/v1/chat/completions")
        }
        with raw_server(ok) as direct:
            for name in ("127.0.0.1", "10.0.0.0/8,127.0.0.0/8", "*"):
                monkeypatch.setenv("NO_PROXY", name)
                monkeypatch.setenv("no_proxy", name)
                before = len(direct.asked)
                ask(direct.url, model=None)
                assert len(direct.asked) > before
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(UsageError, match="socks5"):
        proxy_for("http://model.invalid/v1")


TOKENS = {
    "/tokenize": lambda asked, name: http({"tokens": [ord(c) for c in asked.body[name]]}),
    "/detokenize": lambda asked, name: http({name: "".join(map(chr, asked.body["tokens"]))}),
}
"""One token per character. name: vLLM's or llama.cpp's word for the text."""


def tokenizer(name: str = "prompt") -> dict[str, Any]:
    return {path: lambda asked, do=do: do(asked, name) for path, do in TOKENS.items()}


TOKENIZER = tokenizer()


@pytest.mark.parametrize("name", ["prompt", "content"])
@pytest.mark.parametrize("end_token", [0, 1])
def test_tokens_are_counted_by_vllm_and_by_llama_cpp_without_the_end_token(
    name: str, end_token: int
) -> None:
    def reply(asked: Asked) -> bytes:
        text = TEXT + asked.prompt
        return http(completion(text, usage={"completion_tokens": len(text) + end_token}))

    prompts = [str(n) * n for n in range(1, 9)]
    with raw_server(reply, others=tokenizer(name)) as server:
        # One after the other: the first are compared.
        answers = ask(server.url, prompts=prompts, concurrency=1)
        engine = OpenAIEngine(base_urls=[server.url], retry=QUICK)

        async def cut() -> str:
            async with engine:
                return await engine.truncate("né 東京 and on", 5)

        assert asyncio.run(cut()) == "né 東京"
    assert [a.completion_tokens for a in answers] == [len(TEXT + prompt) for prompt in prompts]


def test_counting_goes_on_when_one_of_two_servers_dies() -> None:
    documents = [Document(str(n), f"Page {n} of the town by the river. " * 99) for n in range(40)]
    with raw_server(ok, others=TOKENIZER) as alive, raw_server(ok, others=TOKENIZER) as dying:
        counted = threading.Event()

        def count_then_die(asked: Asked) -> bytes:
            if len(dying.asked) > 20:
                # Not from the start: a connection closed unsaid is a failure, and few make it down.
                dying.closes = True
                counted.set()
                return b""
            return TOKENIZER["/tokenize"](asked)

        dying.others = {**TOKENIZER, "/tokenize": count_then_die, "/models": lambda asked: b""}
        retry = RetryPolicy(attempts=30, first=0.001, longest=0.01, timeout=5, breaker=4)
        engine = OpenAIEngine(base_urls=[dying.url, alive.url], model="raw", retry=retry)
        dying.reply = lambda asked: b"" if counted.is_set() else ok(asked)
        made = generate_documents(Settings(load_recipe("hq"), PLAIN, 1, 500), documents, engine)
    assert counted.is_set()
    assert not made.failed
    assert len(made.documents) == 40


def test_a_document_that_cannot_be_counted_fails_alone() -> None:
    def count(asked: Asked) -> bytes:
        return (
            failure("too long", 413) if "poison" in asked.body["prompt"] else http({"tokens": [1]})
        )

    others = {"/tokenize": count, "/detokenize": lambda asked: http({"prompt": "one two"})}
    documents = [Document("a", "fine " * 500), Document("b", "poison " * 500)]
    told = http(completion(usage={"completion_tokens": 190}))
    with raw_server(lambda asked: told, others=others) as server:
        engine = OpenAIEngine(base_urls=[server.url], retry=QUICK)
        made = generate_documents(Settings(load_recipe("hq"), PLAIN, 1), documents, engine)
    assert [d.fields["source_id"] for d in made.documents] == ["a"]
    assert [(d.fields["source_id"], d.fields["reason"]) for d in made.failed] == [("b", "http-413")]


def refusing(prompts: tuple[str, ...], response: bytes) -> Any:
    """Refuses prompts that hold one of some words; the empty word is in all."""

    def reply(asked: Asked) -> bytes:
        return response if any(word in asked.prompt for word in prompts) else http(completion())

    return reply


@pytest.mark.parametrize("status", [400, 403, 404, 406, 413, 422, 451])
def test_a_refusal_of_one_document_costs_that_document_even_alone(status: int) -> None:
    with raw_server(refusing(("bad",), failure("it is flagged", status))) as server:
        for prompts in (["bad"], ["bad", "good", "fine"]):
            answers = ask(server.url, prompts=prompts)
            failed = [a for a in answers if isinstance(a, RequestFailedError)]
            assert [a.reason for a in failed] == [f"http-{status}"]
            assert "it is flagged" in failed[0].response
            assert sum(isinstance(a, Completion) for a in answers) == len(prompts) - 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 422])
def test_a_refusal_of_everything_stops_the_run_early_in_the_servers_words(status: int) -> None:
    with raw_server(refusing(("",), failure("not with these settings", status))) as server:
        documents = [Document(str(n), f"Page {n} of the town.") for n in range(500)]
        engine = OpenAIEngine(base_urls=[server.url], model="raw", retry=QUICK, concurrency=8)
        with pytest.raises(SynthlawError, match=rf"{status}.*not with these settings"):
            generate_documents(Settings(load_recipe("hq"), PLAIN, 1), documents, engine)
    assert len(server.prompts) <= 20


@pytest.mark.parametrize(
    "response",
    [
        http(b"<html><title>Sign in</title>", kind="text/html"),
        http({"error": {"message": "Sign in", "code": 404}}),
        http({"message": "Sign in", "code": 500.5}),
        http({"Sign in": []}),
        http({"choices": [], "Sign in": 1}),
    ],
)
def test_a_server_that_answers_nonsense_is_not_waited_for(
    response: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with raw_server(lambda asked: response) as server:
        answers = ask(server.url, prompts=map(str, range(30)))
    assert all(isinstance(a, SynthlawError) and "Sign in" in str(a) for a in answers)
    assert len(server.prompts) <= 30 * QUICK.bad_answers + 2
    assert "is down" not in capsys.readouterr().err


def test_a_key_that_is_revoked_on_the_way_stops_the_run() -> None:
    def reply(asked: Asked) -> bytes:
        return failure("revoked", 401) if len(server.asked) > 12 else http(completion())

    with raw_server(reply) as server:
        answers = ask(server.url, prompts=map(str, range(30)), concurrency=1)
    assert sum(isinstance(a, Completion) for a in answers) >= 10
    assert "revoked" in str(answers[-1])
    assert not isinstance(answers[-1], RequestFailedError)


def test_the_commonest_words_of_servers_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    def reply(asked: Asked) -> bytes:
        if "empty" in asked.prompt:
            return http(completion(None, "length", reasoning_content="hm"))
        rare = "rare" in asked.prompt
        return failure("rare" if rare else "flagged", 403) if "bad" in asked.prompt else ok(asked)

    prompts = ["fine", "bad 1", "bad 2", "bad rare", "empty", "empty too"]
    with raw_server(reply) as server:
        ask(server.url, prompts=prompts)
    told = " ".join(capsys.readouterr().err.split())
    assert "requests failed: 3 (the commonest, 2 times: http-403: flagged)" in told
    assert "answers without a text: 2 (no text came but reasoning alone" in told


def strict(known: set[str]) -> Any:
    """A server that refuses fields it does not know, one by one, as OpenAI's does."""

    def reply(asked: Asked) -> bytes:
        for name in asked.body:
            if name not in known | {"model", "messages"}:
                return failure(f"Unrecognized request argument supplied: {name}", 400)
        return http(completion())

    return reply


OPENAI = {"temperature", "top_p", "max_tokens", "seed", "frequency_penalty", "presence_penalty"}


def test_a_strict_server_is_sent_what_it_takes() -> None:
    with raw_server(strict(OPENAI)) as server:
        answers = ask(server.url, prompts=map(str, range(20)))
        assert all(isinstance(a, Completion) for a in answers)
        assert answers[-1].unsent == "repetition_penalty top_k"
        assert set(server.asked[-1].body) == OPENAI | {"model", "messages"}
        assert len(server.prompts) <= 41
        (refused,) = ask(server.url, sampling=Sampling(top_k=40))
        assert "top_k" in str(refused)  # asked for, so never left out in silence
        assert not isinstance(refused, RequestFailedError)
    with raw_server(strict(OPENAI - {"seed"})) as server:
        made = generate_documents(
            Settings(load_recipe("hq"), PLAIN, 1),
            [Document("a", "Of the town.")],
            OpenAIEngine(base_urls=[server.url], model="raw", retry=QUICK),
        )
        (document,) = made.documents + made.dropped
        recorded = json.loads(document.fields["sampling"])
        assert recorded["unsent"] == ["repetition_penalty", "seed", "top_k"]


def test_the_names_and_values_that_servers_want() -> None:
    def newer(asked: Asked) -> bytes:
        words = "'max_tokens' is not supported with this model. Use 'max_completion_tokens'."
        return failure(words, 400) if "max_tokens" in asked.body else http(completion())

    def sglang(asked: Asked) -> bytes:
        words = "top_k must be -1 (disable) or at least 1, got 0."
        return failure(words, 400) if asked.body["top_k"] == 0 else http(completion())

    for reply, name, value in ((newer, "max_completion_tokens", 2048), (sglang, "top_k", -1)):
        with raw_server(reply) as server:
            answers = ask(server.url, prompts="abcdefgh", concurrency=4)
        assert all(isinstance(a, Completion) and not a.unsent for a in answers)
        assert server.asked[-1].body[name] == value

    def fixed(asked: Asked) -> bytes:
        words = "'temperature' does not support 0.7 with this model. Only 1 is supported."
        return failure(words, 400) if asked.body["temperature"] != 1 else http(completion())

    with raw_server(fixed) as server:
        (refused,) = ask(server.url)
    assert "Only 1 is supported" in str(refused)


@pytest.mark.parametrize(
    ("pasted", "sent"),
    [
        ("key-123", "key-123"),
        (" key-123\n", "key-123"),
        ('"key-123"', "key-123"),
        ("Bearer key-123", "key-123"),
        ("'bearer  key-123 '\r\n", "key-123"),
        ("Authorization: Bearer key-123", "key-123"),
        ("  ", None),
    ],
)
def test_keys_as_people_paste_them(
    pasted: str, sent: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTHLAW_API_KEY", pasted)
    with raw_server(ok) as server:
        ask(server.url)
    expected = f"Bearer {sent}" if sent else None
    assert {one.headers.get("authorization") for one in server.asked} == {expected}


@pytest.mark.parametrize("pasted", ["two words-123", "key-123\nX-Evil: 1", "schlüssel-123"])
def test_what_is_no_key_is_refused_and_not_shown(
    pasted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", pasted)
    with pytest.raises(UsageError, match="OPENAI_API_KEY") as caught:
        api_key()
    assert "123" not in str(caught.value)


@pytest.mark.parametrize(
    ("pasted", "asked"),
    [
        ("http://x:1", "http://x:1/v1/chat/completions"),
        (" 'http://x:1/' \n", "http://x:1/v1/chat/completions"),
        ("https://x/api/v2/", "https://x/api/v2/chat/completions"),
        ("HTTP://X/v1/chat/completions", "http://x/v1/chat/completions"),
        ("http://x/v1/completions/", "http://x/v1/chat/completions"),
        ("http://x//v1//models", "http://x/v1/chat/completions"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1/chat/completions"),
        ("https://x/d/m?api-version=2", "https://x/d/m/chat/completions?api-version=2"),
    ],
)
def test_urls_as_people_paste_them(pasted: str, asked: str) -> None:
    assert server_address(pasted).join("/chat/completions") == asked


@pytest.mark.parametrize(
    "pasted",
    [
        *("", "x", "localhost:8000", "ftp://x", "http://", "http://x:0", "http://x:99999"),
        *("http://[::1", "http://a b/", "http://h\\x", "u:sesame@h", "ftp://u:sesame@h"),
        *("http://u:sesame/x@h", "http://u:sesame?x@h/v1", "http://u:x#sesame@h"),
        *("http://u:sesame@h:port", "http://u:ses@me:sesame@h:port"),
    ],
)
def test_what_is_no_url_is_refused_without_its_password(pasted: str) -> None:
    with pytest.raises(UsageError, match="base URL") as caught:
        server_address(pasted)
    assert "sesame" not in str(caught.value)


def test_a_password_in_the_url_is_sent_and_never_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def reply(asked: Asked) -> bytes:
        return failure(f"you sent {asked.headers['authorization']} p@ss", 403)

    with raw_server(reply) as server:
        url = server.url.replace("//", "//user:p%40ss@") + "?token=abcdef"
        engine = OpenAIEngine(base_urls=[url], model="raw", retry=QUICK)
        with pytest.raises(SynthlawError) as caught:
            generate_documents(
                Settings(load_recipe("hq"), PLAIN, 1), [Document("a", "Of it.")], engine
            )
    assert server.asked[-1].headers["authorization"] == "Basic dXNlcjpwQHNz"
    assert server.asked[-1].path.endswith("?token=abcdef")
    shown = str(caught.value) + str(engine.in_flight) + str(engine.identity())
    shown += capsys.readouterr().err + repr(engine._addresses)
    for secret in ("p@ss", "p%40ss", "dXNlcjpwQHNz", "abcdef"):
        assert secret not in shown


def test_azure_gets_its_own_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTHLAW_API_KEY", "key-123")
    with raw_server(ok) as server:
        ask(f"{server.url}?api-version=2024-10-21")
    assert server.asked[-1].headers["api-key"] == "key-123"
    assert "api-key" not in server_address("http://x", "key-123").headers


@pytest.mark.parametrize("name", ["org/model", "a b", "modèle-東京", 'quote"d', "m:latest@1"])
def test_models_of_any_name(name: str) -> None:
    listed = {"/models": lambda asked: http({"data": [{"id": name}]})}
    with raw_server(ok, others=listed) as server:
        ask(server.url, model=None)
    assert server.asked[-1].body["model"] == name


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ({"models": [{"name": "m", "model": "m"}]}, "m"),
        ([{"id": "m"}], "m"),
        ({"data": [{"id": "m", "x": None}, {"id": "n"}]}, "m"),
        ({"data": []}, None),
        ({"data": [{"id": None}]}, None),
        ({"data": [{"id": 7}]}, None),
        ({"data": "m"}, None),
        ([], None),
        ("text", None),
        (b"<html>Sign in", None),
        (b"", None),
    ],
)
def test_lists_of_models_of_any_shape(listed: Any, found: str | None) -> None:
    with raw_server(ok, others={"/models": lambda asked: http(listed)}) as server:
        engine = OpenAIEngine(base_urls=[server.url], retry=QUICK)
        if found is None:
            with pytest.raises(UsageError, match="does not list a model"):
                engine.identity()
        else:
            assert engine.identity()["model"] == found


def test_an_unknown_host_and_a_wrong_scheme_are_told_at_once() -> None:
    patient = RetryPolicy(first=0.01, longest=0.01, patience=3600)
    with pytest.raises(SynthlawError, match=r"no-such-host.invalid.* is not known"):
        ask("http://no-such-host.invalid:8000/v1", retry=patient)

    async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(speak_http, "127.0.0.1", 0)
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with server, OpenAIEngine(base_urls=[url], model="m", retry=patient):
            pass

    with pytest.raises(SynthlawError, match="http, not https"):
        asyncio.run(run())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate")
def test_a_certificate_that_does_not_verify_is_told_at_once(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def run() -> None:
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0, ssl=context)
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with server, OpenAIEngine(base_urls=[url], model="m"):
            pass

    with pytest.raises(SynthlawError, match="certificate does not verify"):
        asyncio.run(run())


@pytest.mark.parametrize(("asked", "told"), [("86400", "24 h"), ("inf", "for ever")])
def test_a_server_that_asks_for_a_long_wait_is_told_and_waited_for_a_bounded_time(
    asked: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float, *rest: Any) -> None:
        waits.append(seconds)
        await sleep(min(seconds, 0.001), *rest)

    monkeypatch.setattr("synthlaw.generate.engines.servers.asyncio.sleep", noted)

    def reply(one: Asked) -> bytes:
        busy = http({"error": "slow down"}, 429, f"Retry-After: {asked}\r\n")
        return busy if len(server.prompts) < 3 else http(completion())

    with raw_server(reply) as server:
        (answer,) = ask(server.url, retry=RetryPolicy())
    assert isinstance(answer, Completion)
    assert max(waits) == RetryPolicy().longest_asked
    said = " ".join(capsys.readouterr().err.split())
    assert "is busy (http-429: slow down)" in said
    assert f"asks to wait {told}" in said


def test_a_server_that_is_only_busy_ends_the_run_when_patience_does() -> None:
    with raw_server(lambda asked: failure("slow down", 429)) as server:
        (answer,) = ask(server.url, retry=RetryPolicy(first=0.01, longest=0.01, patience=0.1))
    assert isinstance(answer, SynthlawError)
    assert not isinstance(answer, RequestFailedError)
    assert "slow down" in str(answer)
