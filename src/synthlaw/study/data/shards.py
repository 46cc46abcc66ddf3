"""Shards of generated text on disk: what was kept, dropped, failed and set aside, with counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from synthlaw.common.files import read_json, write_json
from synthlaw.corpus.documents import Document, read_documents, write_documents
from synthlaw.generate.engines.base import Engine
from synthlaw.generate.keywords import KeywordPool
from synthlaw.generate.runner import Generated, Settings
from synthlaw.study.store import Artifact, Store
from synthlaw.tokens.tokenizer import Tokenizer

SHARD_VERSION = 2
KEPT, DROPPED, FAILED, ASIDE = (
    "documents.parquet",
    "dropped.jsonl",
    "failed.jsonl",
    "aside.jsonl",
)
COUNTS = "counts.json"


@dataclass(frozen=True)
class Shard:
    """A finished shard. tokens: of its kept text, in the study's tokens, BOS and EOS included."""

    artifact: Artifact
    tokens: int


def shard_key(
    store: Store,
    settings: Settings,
    engine: Engine,
    documents: Sequence[Document],
    pool: KeywordPool | None,
) -> str:
    """Key of the shard that `settings` and `engine` make of `documents` or of a pool's keywords."""
    inputs: dict[str, Any] = {
        "settings": settings.digest(engine),
        "documents": [[document.id, document.text] for document in documents],
    }
    if pool is not None:
        inputs["keywords"] = pool.digest
    return store.key("generate", SHARD_VERSION, inputs)


def find_shard(store: Store, label: str, key: str, tokenizer: Tokenizer) -> Shard | None:
    """The finished shard, if it is there and whole."""
    found = store.find("generate", label, key)
    return None if found is None else Shard(found, _tokens_in(found, tokenizer))


def write_shard(
    store: Store, label: str, key: str, result: Generated, tokenizer: Tokenizer, seconds: float
) -> Shard:
    """Make `result` the artifact `label`."""
    with store.making("generate", label, key, seconds) as aside:
        write_documents(aside / KEPT, result.documents)
        write_documents(aside / DROPPED, result.dropped)
        write_documents(aside / FAILED, result.failed)
        write_documents(aside / ASIDE, result.intermediate)
        write_json(aside / COUNTS, result.counts)
    artifact = store.require("generate", label, key)
    return Shard(artifact, _tokens_in(artifact, tokenizer))


def _tokens_in(artifact: Artifact, tokenizer: Tokenizer) -> int:
    texts = [document.text for document in read_documents(artifact.file(KEPT))]
    return sum(len(ids) + 2 for ids in tokenizer.encode(texts))


def add_counts(shards: Iterable[Artifact]) -> dict[str, Any]:
    """The counts of several shards as one."""
    total: dict[str, Any] = {}
    for shard in shards:
        for name, value in read_json(shard.file(COUNTS)).items():
            if isinstance(value, dict):
                place = total.setdefault(name, {})
                for reason, count in value.items():
                    place[reason] = place.get(reason, 0) + count
            else:
                total[name] = total.get(name, 0) + value
    return total
