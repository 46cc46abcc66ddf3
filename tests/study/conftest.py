"""The fixture `sandbox`: a study small enough for tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_server import fault_server
from sandbox import Sandbox, article, write_texts


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    write_texts(tmp_path / "natural.jsonl", 60, seed=1)
    write_texts(tmp_path / "other.jsonl", 8, seed=2)
    with fault_server(answer=article) as server:
        value: dict[str, Any] = {
            "name": "tiny",
            "seed": 7,
            "natural": {"path": "natural.jsonl"},
            "corpus": {"held_out": 0.1},
            "generate": {
                "engine": {"kind": "openai", "base_url": server.url, "model": "test-model"},
                "shard_documents": 1,
                "recipes": {"hq": {}},
            },
            "tokenizer": {"vocab": 300},
            "mixtures": {"CC": {"natural": 1.0}, "33HQ": {"natural": 0.67, "hq": 0.33}},
            "ladder": {
                "sizes": {
                    "a": {"dim": 16, "layers": 1, "heads": 2},
                    "b": {"dim": 32, "layers": 1, "heads": 2},
                },
                "budgets": [512, 1024, 1536, 2048],
            },
            # One precision by name: folders that are compared must not each measure their own.
            "training": {
                "context": 32,
                "batch_tokens": 128,
                "learning_rate": 0.01,
                "dtype": "fp32",
            },
            "evaluation": {"documents": 6, "domains": {"other": {"path": "other.jsonl"}}},
            "laws": {"bootstrap": 50},
            "execution": {"workers": 2},
        }
        yield Sandbox(tmp_path, server, value)
