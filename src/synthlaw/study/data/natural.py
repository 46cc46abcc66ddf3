"""The natural half of a study: documents, the tokenizer, token sets."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.common.files import read_json, write_json
from synthlaw.common.machine import usable_cores
from synthlaw.common.seeds import derive_seed
from synthlaw.corpus.documents import Document, read_documents
from synthlaw.corpus.parquet import join_tables
from synthlaw.corpus.pipeline import (
    BAD_RECORDS,
    DUPLICATES,
    HELD_OUT_FOLDER,
    TRAINING_FOLDER,
    Source,
)
from synthlaw.corpus.pipeline import make_corpus as prepare_corpus
from synthlaw.corpus.readers.input_file import InputFile
from synthlaw.corpus.readers.read import read_input
from synthlaw.corpus.readers.sources import find_input_files
from synthlaw.corpus.settings import Settings
from synthlaw.evaluation.domains import own_pieces
from synthlaw.study.spec import NATURAL, Study, TextSource
from synthlaw.study.store import Artifact
from synthlaw.study.workspace import Workspace
from synthlaw.tokens.tokenizer import Tokenizer, train_bpe

CORPUS_VERSION = 2
TOKENIZER_VERSION = 1
TOKENS_VERSION = 2


def check_sources(space: Workspace) -> None:
    """Raise UsageError now if a path of the study file leads nowhere, before anything is made."""
    for place, source in _named_sources(space.study):
        section, _, name = place.rpartition(".")
        try:
            inputs_of(space, source, name if section == "evaluation.domains" else None)
        except UsageError as error:
            raise UsageError(f"{place}: {error}") from None
    _named_tokenizer(space)
    space.digests.save()


def missing_inputs(study: Study, base: Path) -> list[str]:
    """Sentences on what the study file names and is not there; no file is read."""
    found = []
    for place, source in _named_sources(study):
        where = source.path if source.path is not None else f"embedded:{source.embedded}"
        try:
            find_input_files(where, base, lambda path: "")
        except UsageError as error:
            found.append(f"{place}: {error}")
    tokenizer = study.tokenizer.path
    if tokenizer is not None and not study.place(tokenizer, base).is_file():
        found.append(f"tokenizer.path: {study.place(tokenizer, base)}: no such file")
    return found


def _named_tokenizer(space: Workspace) -> Tokenizer | None:
    """The tokenizer that the study file names, if it does."""
    spec = space.study.tokenizer
    if spec.name is not None:
        return Tokenizer(spec.name)
    return Tokenizer(space.study.place(spec.path, space.base)) if spec.path is not None else None


def _named_sources(study: Study) -> Iterator[tuple[str, TextSource]]:
    for number, source in enumerate(study.natural):
        yield f"natural.{number}", source
    for name, source in study.sources.items():
        yield f"sources.{name}", source
    for name, source in study.evaluation.domains.items():
        yield f"evaluation.domains.{name}", source


def pieces_of(space: Workspace, source: TextSource, domain: str | None = None) -> list[InputFile]:
    """The pieces of input that a source names; digests of local files are remembered.

    domain: of the evaluation, whose name leaves out files named after another domain.
    """
    place = source.path if source.path is not None else f"embedded:{source.embedded}"
    pieces = find_input_files(place, space.base, space.digests.of)
    return pieces if domain is None else own_pieces(domain, pieces)


def inputs_of(space: Workspace, source: TextSource, domain: str | None = None) -> dict[str, Any]:
    """What determines the documents of a source: its pieces' contents, and how many are taken."""
    pieces = [piece.key() for piece in pieces_of(space, source, domain)]
    return {"pieces": pieces, "documents": source.documents}


def read_source(
    space: Workspace, source: TextSource, domain: str | None = None
) -> Iterator[Document]:
    """Documents of a source, in order."""
    pieces = pieces_of(space, source, domain)
    documents: Iterable[Document] = (doc for piece in pieces for doc in read_input(piece))
    if source.documents is not None:
        documents = choose(list(documents), source.documents, space.study.seed)
    yield from documents


def choose(documents: list[Document], count: int, seed: int) -> list[Document]:
    """`count` documents chosen by seed and identity, in their own order."""
    ranked = sorted(range(len(documents)), key=lambda i: derive_seed(seed, documents[i].id))
    return [documents[i] for i in sorted(ranked[:count])]


def make_corpus(space: Workspace) -> Artifact:
    """The natural documents: training.parquet, held_out.parquet, counts.json and its company.

    Raises UsageError when no usable document is left.
    """
    study, store = space.study, space.store
    inputs = {
        "sources": [inputs_of(space, source) for source in study.natural],
        "corpus": study.corpus.model_dump(),
        "seed": study.seed,
    }
    key = store.key("corpus", CORPUS_VERSION, inputs)
    found = store.find("corpus", NATURAL, key)
    if found is not None:
        return found
    work = store.work("corpus", NATURAL, key)
    started = time.monotonic()
    options = study.corpus.model_dump(exclude={"decontaminate", "ngram"})
    counts = prepare_corpus(
        [Source(pieces_of(space, source), source.documents) for source in study.natural],
        Settings(**options, seed=study.seed),
        work,
        workers=study.execution.workers,
    )
    if not counts["documents"]:
        why = "; ".join(f"{count} with {reason}" for reason, count in counts["left_out"].items())
        shutil.rmtree(work)
        raise UsageError(
            f"natural: no usable document was found ({why or 'the files are empty'}); expected "
            "documents with a 'text' of at least 20 words"
        )
    with store.making("corpus", NATURAL, key, time.monotonic() - started) as aside:
        for folder, name in ((TRAINING_FOLDER, "training"), (HELD_OUT_FOLDER, "held_out")):
            join_tables(sorted((work / folder).glob("*.parquet")), aside / f"{name}.parquet")
        for name in (DUPLICATES, BAD_RECORDS):
            shutil.copyfile(work / name, aside / name)
        write_json(aside / "counts.json", {"training": counts["documents"], **counts})
    shutil.rmtree(work)
    return store.require("corpus", NATURAL, key)


def make_tokenizer(space: Workspace, corpus: Artifact) -> Tokenizer:
    """The study's tokenizer: its own file, or a BPE trained on the natural training text."""
    spec, store = space.study.tokenizer, space.store
    named = _named_tokenizer(space)
    if named is not None:
        return named
    key = store.key("tokens", TOKENIZER_VERSION, {"text": corpus.content, "vocab": spec.vocab})
    found = store.find("tokens", "tokenizer", key)
    if found is None:
        with store.making("tokens", "tokenizer", key) as aside:
            train_bpe(texts_of(corpus.file("training.parquet")), spec.vocab, aside / TOKENIZER_FILE)
        found = store.require("tokens", "tokenizer", key)
    return Tokenizer(found.file(TOKENIZER_FILE))


TOKENIZER_FILE = "tokenizer.json"


def make_tokens(
    space: Workspace, name: str, texts: Iterable[str], inputs: Any, tokenizer: Tokenizer
) -> Artifact:
    """The token set `name` of `texts`; `inputs` is what determines the texts."""
    from synthlaw.tokens.writing import write_dataset

    store = space.store
    key = store.key("tokens", TOKENS_VERSION, {"texts": inputs, "tokenizer": tokenizer.digest})
    found = store.find("tokens", name, key)
    if found is None:
        started = time.monotonic()
        # Written where it is resumed: a large source takes hours.
        work = store.work("tokens", name, key)
        write_dataset(work, texts, tokenizer, made_from=inputs, workers=usable_cores())
        found = store.adopt("tokens", name, key, time.monotonic() - started)
    return found


def texts_of(path: Path) -> Iterator[str]:
    """Texts of a document file."""
    return (document.text for document in read_documents(path))


def corpus_counts(corpus: Artifact) -> dict[str, Any]:
    """What `make_corpus` counted."""
    return dict(read_json(corpus.file("counts.json")))
