"""The registry of engines: a new kind is one new file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from generation_runs import rows, run, write_input

from synthlaw.common.errors import UsageError
from synthlaw.generate.engines import kinds
from synthlaw.generate.engines.registry import engine_by, engine_kinds

PLUG_IN = '''
"""An engine that answers with the prompt's last words, in capitals."""

from synthlaw.generate.engines.base import Completion


class Shouting:
    written, concurrency, waiting, label = 0, 3, 0, "shouting:1"
    in_flight = {}

    def __init__(self, model):
        self.model = model

    def identity(self):
        return {"kind": "shouting", "model": self.model}

    def plain(self, text):
        return text

    async def truncate(self, text, tokens):
        return " ".join(text.split(" ")[:tokens])

    async def count_tokens(self, text):
        return len(text.split())

    async def complete(self, request):
        text = " ".join(request.prompt.split()[-12:]).upper()
        return Completion(text, "stop", len(request.prompt.split()), len(text.split()))

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        pass


def make(settings, log):
    return Shouting(settings.model)
'''


def test_a_new_kind_of_engine_is_one_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "shouting.py").write_text(PLUG_IN)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path / "plugins")])
    assert engine_kinds() == ["embedded", "openai", "shouting", "transformers", "vllm"]
    source = write_input(tmp_path / "in.jsonl", 7)
    args = ["--recipe", "hq", "--engine", "shouting", "--model", "loud", "--without-rule", "short"]
    files = ["--input", str(source), "--out", str(tmp_path / "out"), "--json"]
    off = [part for rule in ("echo", "language") for part in ("--without-rule", rule)]
    made = run(*args, *off, *files)
    assert made["documents"] == 7
    for row in rows(tmp_path / "out" / "documents"):
        assert row["generator"] == "shouting:1"
        assert row["text"].endswith("REPHRASED ARTICLE:")
    described = json.loads(next(tmp_path.glob("out/runs/*/run.json")).read_text())
    assert described["engine"] == {"kind": "shouting", "model": "loud"}


def test_a_kind_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(
        UsageError, match="found 'opnai'; expected one of embedded, openai, transformers, vllm"
    ):
        engine_by(kind="opnai")
