"""Recipes in Python: any number of requests, journalled as others are, errors kept in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fault_server import fault_server

from synthlaw.common.errors import UsageError
from synthlaw.corpus.documents import Document
from synthlaw.generate.engines.base import Sampling
from synthlaw.generate.engines.openai import OpenAIEngine
from synthlaw.generate.generated import Generated
from synthlaw.generate.recipe import Recipe, load_recipe
from synthlaw.generate.runner import generate_documents
from synthlaw.generate.settings import Settings

CODE = """
import asyncio

def ask(text):
    return {"messages": [{"role": "user", "content": text}]}

async def story(document, generate):
    facts = await asyncio.gather(*(generate(ask(f"{n} of {document.text}")) for n in (1, 2)))
    last = {
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": facts[0].text},
            {"role": "assistant", "content": facts[1].text},
            {"role": "user", "content": "Go on."},
        ],
        "temperature": 0.1,
    }
    return await generate(last)

async def several(document, generate):
    twice = [await generate(ask("the same")), await generate(ask("the same"))]
    return [twice[0], {"text": "put together of the two: " + twice[1].text}, twice[1].text]

async def broken(document, generate):
    if "bad" in document.text:
        raise KeyError("topic")
    return (await generate(ask(document.text))).text

async def odd(document, generate):
    return 7
"""


def recipe(folder: Path, function: str, code: str = CODE, rules: str = "[empty]") -> Recipe:
    (folder / "mine.py").write_text(code)
    text = f"name: mine\nversion: '1'\npython: mine.py:{function}\nrules: {rules}\n"
    (folder / "mine.yaml").write_text(text)
    return load_recipe(folder / "mine.yaml")


def generate(made: Recipe, url: str, out: Path, *texts: str) -> Generated:
    documents = [Document(f"d{n}", text) for n, text in enumerate(texts)]
    engine = OpenAIEngine(base_urls=[url], model="m")
    return generate_documents(Settings(made, Sampling(), 1), documents, engine, out=out)


def test_a_function_asks_as_often_as_it_likes_and_is_resumed(tmp_path: Path) -> None:
    made, out = recipe(tmp_path, "story"), tmp_path / "out"
    with fault_server() as server:
        first = generate(made, server.url, out, "tea", "iron")
        assert len(server.received) == 6
        assert len({body["seed"] for body in server.received}) == 6
        again = generate(made, server.url, out, "tea", "iron")
        assert len(server.received) == 6
        next(out.glob("documents/*.jsonl")).unlink()
        assert generate(made, server.url, out, "tea", "iron") == first
        assert len(server.received) == 12
    assert again == first
    assert [doc.fields["source_id"] for doc in first.documents] == ["d0", "d1"]
    last: dict[str, Any] = server.received[-1]
    assert [turn["role"] for turn in last["messages"]] == ["system", "user", "assistant", "user"]
    assert last["temperature"] == 0.1
    assert first.documents[0].fields["prompt"] == "Go on."


def test_several_texts_are_several_documents(tmp_path: Path) -> None:
    with fault_server() as server:
        made = generate(recipe(tmp_path, "several"), server.url, tmp_path / "out", "tea")
    one, joined, two = made.documents
    assert [doc.fields["step"] for doc in made.documents] == ["rollout-1", "rollout-2", "rollout-3"]
    assert one.text != two.text
    assert joined.text.endswith(two.text)
    assert len({doc.id for doc in made.documents}) == 3


def test_an_error_in_the_function_sets_its_document_aside(tmp_path: Path) -> None:
    with fault_server(poison="worse") as server:
        engine_fails = recipe(tmp_path, "broken")
        made = generate(engine_fails, server.url, tmp_path / "out", "good", "bad")
    assert [doc.fields["source_id"] for doc in made.documents] == ["d0"]
    (failed,) = made.failed
    assert failed.fields["reason"] == "rollout-error"
    assert "topic" in failed.fields["response"]
    with fault_server() as server:
        odd = generate(recipe(tmp_path, "odd"), server.url, tmp_path / "out", "tea")
    assert "expected text" in odd.failed[0].fields["response"]


def test_rules_apply_to_what_a_function_returns(tmp_path: Path) -> None:
    with fault_server() as server:
        made = generate(
            recipe(tmp_path, "story", rules="[pairs]"), server.url, tmp_path / "out", "tea"
        )
    assert [doc.fields["reason"] for doc in made.dropped] == ["pairs"]


def test_changed_code_is_another_recipe_and_another_folder_is_not(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first = recipe(tmp_path / "a", "story")
    assert recipe(tmp_path / "b", "story").digest == first.digest
    assert recipe(tmp_path / "b", "story", CODE + "\n# changed\n").digest != first.digest
    assert json.dumps(first.record())


def test_wrong_references_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        recipe(tmp_path, "story")
        (tmp_path / "mine.py").unlink()
        load_recipe(tmp_path / "mine.yaml")
    with (
        pytest.raises(UsageError, match="no async function 'stroy'"),
        fault_server() as server,
    ):
        generate(recipe(tmp_path, "stroy"), server.url, tmp_path / "out", "tea")
    with pytest.raises(UsageError, match="either 'steps' or 'python'"):
        (tmp_path / "none.yaml").write_text("name: none\nversion: '1'\n")
        load_recipe(tmp_path / "none.yaml")
