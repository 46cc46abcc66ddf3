"""A study small enough for tests: own text, a stand-in server, models of a few thousand params."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from fault_server import FaultServer, fault_server

WORDS = [
    *("the", "of", "and", "to", "in", "is", "that", "it", "was", "for", "river", "stone"),
    *("bridge", "market", "winter", "candle", "harbour", "meadow", "lantern", "thunder"),
    *("copper", "garden", "letter", "morning"),
]


def prose(rng: np.random.Generator) -> str:
    """Ten sentences of random words."""
    words = [WORDS[i] for i in rng.integers(0, len(WORDS), 120)]
    return " ".join(" ".join(words[i : i + 12]) + "." for i in range(0, 120, 12))


def article(asked: dict[str, Any]) -> str:
    """An answer that depends on the question alone and passes the post-filter."""
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).digest()
    return prose(np.random.default_rng(int.from_bytes(digest[:8], "big")))


def write_texts(path: Path, documents: int, seed: int) -> None:
    """A JSONL file of random prose."""
    rng = np.random.default_rng(seed)
    with path.open("w", encoding="utf-8") as stream:
        for number in range(documents):
            row = {"id": f"doc-{seed}-{number}", "text": prose(rng)}
            stream.write(json.dumps(row) + "\n")


@dataclass
class Sandbox:
    """A folder with texts, a server, and a study that may be changed before it is written."""

    folder: Path
    server: FaultServer
    value: dict[str, Any]

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def write(self) -> Path:
        """The study file."""
        path = self.folder / "study.yaml"
        path.write_text(yaml.safe_dump(self.value, sort_keys=False), encoding="utf-8")
        return path


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
                "shard_documents": 4,
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
            "training": {"context": 32, "batch_tokens": 128, "learning_rate": 0.01},
            "evaluation": {"documents": 6, "domains": {"other": {"path": "other.jsonl"}}},
            "laws": {"bootstrap": 50},
            "execution": {"workers": 2},
        }
        yield Sandbox(tmp_path, server, value)
