"""The held-out domains of a study: their documents, and their tokens with each text's counts."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from synthlaw.common.errors import UsageError
from synthlaw.common.files import atomic_folder
from synthlaw.common.parts import Dataset, map_parts, parts_of
from synthlaw.corpus.documents import Document, read_documents
from synthlaw.corpus.parquet import BETWEEN, PartWriter
from synthlaw.corpus.pipeline import COUNTS, TRAINING_FOLDER, Source
from synthlaw.corpus.readers.input_file import InputFile
from synthlaw.corpus.sampling import choose
from synthlaw.corpus.settings import Settings
from synthlaw.corpus.stages import Only
from synthlaw.evaluation.conventions import prefix
from synthlaw.evaluation.domains import PILE_DOMAINS
from synthlaw.study.data.natural import (
    CORPUS_VERSION,
    documents_of,
    found_corpus,
    held_out_of,
    inputs_of,
    pieces_of,
    prepared,
)
from synthlaw.study.store import Artifact
from synthlaw.study.workspace import Workspace
from synthlaw.tokens.tokenizer import Tokenizer, is_named
from synthlaw.tokens.writing import write_dataset

DOMAIN_TOKENS_VERSION = 4

CUT = "cut"
"""Folder of a domain's texts as they are scored, while its token set is made."""

_AT_ONCE = 64


def make_domain(space: Workspace, name: str, corpus: Artifact) -> Artifact:
    """The documents of one evaluation domain: the dataset documents/.

    The domain 'natural' is the natural text's own held-out share. One that bears the name of a
    Pile domain takes only its own documents from a file of the Pile, its own files from a folder.
    """
    study, store = space.study, space.store
    source = study.evaluation.domains.get(name)
    inputs = {
        "source": inputs_of(space, source, name) if source else held_out_of(corpus).identity,
        "documents": study.evaluation.documents,
        "seed": study.seed,
    }
    if name in PILE_DOMAINS:
        inputs["pile_set"] = PILE_DOMAINS[name]
    label, key = f"domain-{name}", store.key("corpus", CORPUS_VERSION, inputs)
    place = f"evaluation.domains.{name}"
    found = (
        store.find("corpus", label, key)
        if source is None
        else found_corpus(space, place, label, key)
    )
    if found is not None:
        return found
    work = None if source is None else _prepared(space, name, place, key)
    documents = held_out_of(corpus) if work is None else Dataset(work / TRAINING_FOLDER)
    if not documents.documents:
        raise UsageError(f"{place}: no usable document was found")
    with store.making("corpus", label, key) as aside:
        if work is not None:
            shutil.copyfile(work / COUNTS, aside / COUNTS)
        choose(documents, study.evaluation.documents, study.seed, aside / TRAINING_FOLDER)
    shutil.rmtree(store.work("corpus", label, key), ignore_errors=True)
    return store.require("corpus", label, key)


def _prepared(space: Workspace, name: str, place: str, key: str) -> Path:
    """The corpus of all usable documents of a domain that has a place, each once."""
    source = space.study.evaluation.domains[name]
    pile_set = PILE_DOMAINS.get(name)
    only = Only("meta.pile_set_name", pile_set) if pile_set else None
    files = Source(pieces_of(space, source, name), source.documents, only)
    settings = Settings(dedup=("exact",), annotate=False, seed=space.study.seed)
    return prepared(space, place, f"domain-{name}", key, [files], settings)[0]


def make_domain_tokens(
    space: Workspace, name: str, documents: Artifact, tokenizer: Tokenizer
) -> Artifact:
    """A domain's token set with bytes.npy and words.npy, int64 [documents], of each text.

    A text longer than `evaluation.max_tokens` is cut to that prefix first; the counts are those
    of the prefix.
    """
    longest, store = space.study.evaluation.max_tokens, space.store
    texts = documents_of(documents)
    inputs = {
        "documents": texts.identity,
        "tokenizer": tokenizer.digest,
        "max_tokens": longest,
    }
    label, key = f"domain-{name}", store.key("tokens", DOMAIN_TOKENS_VERSION, inputs)
    found = store.find("tokens", label, key)
    if found is not None:
        return found
    started = time.monotonic()
    place = tokenizer.place if is_named(tokenizer.place) else str(tokenizer.path.resolve())
    tasks: list[dict[str, Any]] = [
        {"name": f"{number:05d}", "part": str(path.resolve()), "tokenizer": place, "most": longest}
        for number, path in enumerate(texts.paths)
    ]
    work = store.work("tokens", label, key)
    done = map_parts(
        f"{__name__}:cut_part",
        tasks,
        work / CUT,
        space.executor,
        label=f"cutting {name}",
        sizes=[part.documents for part in texts.parts],
        unit="documents",
    )
    parts = parts_of(done)
    files = [
        InputFile("documents", str((work / CUT / p.name).resolve()), p.sha256, size=p.bytes)
        for p in parts
    ]
    write_dataset(work, files, tokenizer, space.executor, strict=True)
    for kind in ("bytes", "words"):
        counts = [np.load(work / CUT / task["name"] / f"{kind}.npy") for task in tasks]
        np.save(work / f"{kind}.npy", np.concatenate(counts))
    shutil.rmtree(work / CUT)
    return store.adopt("tokens", label, key, time.monotonic() - started)


def cut_part(task: Mapping[str, Any], out: Path, report: Callable[[float], None]) -> dict[str, Any]:
    """A part's texts cut to at most so many tokens each, with their bytes and words as arrays."""
    tokenizer = _tokenizer(task["tokenizer"])
    sizes: list[int] = []
    words: list[int] = []
    with atomic_folder(out / task["name"]) as aside:
        writer = PartWriter(aside, "texts", BETWEEN, level=1)
        for document, ids in _encoded(read_documents(task["part"]), tokenizer):
            text = document.text
            if len(ids) > task["most"]:
                text = prefix(tokenizer, ids, task["most"])[1]
            writer.add({"id": document.id, "text": text})
            sizes.append(len(text.encode()))
            words.append(len(text.split()))
            report(1)
        np.save(aside / "bytes.npy", np.array(sizes, np.int64))
        np.save(aside / "words.npy", np.array(words, np.int64))
        parts = [part.as_json() for part in writer.close()]
    return {"parts": [part | {"name": f"{task['name']}/{part['name']}"} for part in parts]}


def _encoded(
    documents: Iterator[Document], tokenizer: Tokenizer
) -> Iterator[tuple[Document, np.ndarray]]:
    while batch := list(islice(documents, _AT_ONCE)):
        yield from zip(batch, tokenizer.encode([d.text for d in batch]), strict=True)


@cache
def _tokenizer(place: str) -> Tokenizer:
    return Tokenizer(place)
