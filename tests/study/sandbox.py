"""A study small enough for tests: own text, a stand-in server, models of a few thousand params.

Tests take the fixture `sandbox`; this module is imported by name for its type.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from fault_server import FaultServer

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
