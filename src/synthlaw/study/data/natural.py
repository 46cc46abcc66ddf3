"""The natural half of a study: documents, the tokenizer, token sets."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from synthlaw.common import parts
from synthlaw.common.errors import UsageError
from synthlaw.common.files import atomic_folder, read_json, write_json
from synthlaw.common.parts import Dataset
from synthlaw.common.progress import say
from synthlaw.corpus.pipeline import COUNTS, HELD_OUT_FOLDER, TRAINING_FOLDER, Source
from synthlaw.corpus.pipeline import make_corpus as prepare_corpus
from synthlaw.corpus.readers.faults import fault_lines, require_whole
from synthlaw.corpus.readers.input_file import InputFile
from synthlaw.corpus.readers.sources import find_input_files, told_apart
from synthlaw.corpus.sampling import sampled_texts
from synthlaw.corpus.settings import Settings
from synthlaw.evaluation.domains import own_pieces
from synthlaw.execute.base import Json, Report, do_one
from synthlaw.study.spec import NATURAL, Study, TextSource
from synthlaw.study.store import Artifact
from synthlaw.study.workspace import Workspace
from synthlaw.tokens.tokenizer import BPE_BYTES, Sample, Tokenizer, is_named, train_bpe
from synthlaw.tokens.writing import write_dataset

CORPUS_VERSION = 5
TOKENIZER_VERSION = 2
TOKENS_VERSION = 4


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


def make_corpus(space: Workspace) -> Artifact:
    """The natural documents: datasets documents/ and held_out/, counts.json and its company.

    Raises UsageError when no usable document is left to train on.
    """
    study, store = space.study, space.store
    sources = _natural_sources(space)
    inputs = {
        "sources": [[[file.key() for file in s.files], s.documents] for s in sources],
        "corpus": study.corpus.model_dump(exclude={"strict"}),
        "seed": study.seed,
    }
    key = store.key("corpus", CORPUS_VERSION, inputs)
    found = found_corpus(space, NATURAL, NATURAL, key)
    if found is not None:
        return found
    options = study.corpus.model_dump(exclude={"decontaminate", "ngram"})
    settings = Settings(**options, seed=study.seed)
    work, seconds = prepared(space, NATURAL, NATURAL, key, sources, settings)
    counts = read_json(work / COUNTS)
    if not counts["documents"]:
        shutil.rmtree(work)
        raise UsageError(
            f"natural: all usable documents, {counts['held_out']:,}, are held out; expected some "
            "to train on: give more text, or a smaller corpus.held_out"
        )
    return store.adopt("corpus", NATURAL, key, seconds)


def _natural_sources(space: Workspace) -> list[Source]:
    """The natural sources, with files of equal names told apart."""
    found = told_apart([pieces_of(space, source) for source in space.study.natural])
    return [
        Source(pieces, source.documents)
        for pieces, source in zip(found, space.study.natural, strict=True)
    ]


def found_corpus(space: Workspace, place: str, name: str, key: str) -> Artifact | None:
    """The corpus of text that the study file names at `place`, if it was made before.

    Raises UsageError when the study is strict and not all of that text could be read.
    """
    found = space.store.find("corpus", name, key)
    if found is not None and space.study.corpus.strict:
        try:
            require_whole(corpus_counts(found))
        except UsageError as error:
            raise UsageError(f"{place}: {error}") from None
    return found


def prepared(
    space: Workspace, place: str, name: str, key: str, sources: Sequence[Source], settings: Settings
) -> tuple[Path, float]:
    """A corpus in the work folder of (corpus, name, key), and the seconds that it took.

    place: in the study file, named in errors and where it is said what could not be read.
    Raises UsageError when no document is left, or something cannot be read and the study is strict.
    """
    started = time.monotonic()
    work = space.store.work("corpus", name, key)
    own = space.study.corpus
    settings = replace(settings, strict=own.strict, part_bytes=parts.PART_BYTES)
    try:
        counts = prepare_corpus(sources, settings, work, space.executor)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from None
    for line in fault_lines(counts):
        say(f"{place}: {line}")
    for lock in work.glob(".lock*"):
        lock.unlink()
    return work, time.monotonic() - started


def documents_of(corpus: Artifact) -> Dataset:
    """The documents of a corpus to train on."""
    return Dataset(corpus.file(TRAINING_FOLDER))


def held_out_of(corpus: Artifact) -> Dataset:
    """The documents of a corpus that are set aside."""
    return Dataset(corpus.file(HELD_OUT_FOLDER))


def make_tokenizer(space: Workspace, corpus: Artifact) -> Tokenizer:
    """The study's tokenizer: its own file, or a BPE trained on the natural training text."""
    tokenizer = _named_tokenizer(space) or _trained_tokenizer(space, corpus)
    if not is_named(tokenizer.place):
        # Beside the artifacts too: what is exported or scored later needs it, wherever it was.
        with atomic_folder(space.root / TOKENIZER_FOLDER, "tokenizer") as aside:
            shutil.copyfile(tokenizer.path, aside / tokenizer.path.name)
    return tokenizer


def _trained_tokenizer(space: Workspace, corpus: Artifact) -> Tokenizer:
    """A BPE trained on the natural training text."""
    spec, store = space.study.tokenizer, space.store
    seed, documents = space.study.seed, documents_of(corpus)
    inputs = {
        "text": documents.identity,
        "vocab": spec.vocab,
        "most_bytes": BPE_BYTES,
        "seed": seed if documents.text_bytes > BPE_BYTES else None,
    }
    key = store.key("tokens", TOKENIZER_VERSION, inputs)
    found = store.find("tokens", "tokenizer", key)
    if found is None:
        with store.making("tokens", "tokenizer", key) as aside:
            task: Json = {
                "documents": str(documents.folder.absolute()),
                "out": str(aside.absolute()),
                "vocab": spec.vocab,
                "seed": seed,
                "noted_seed": inputs["seed"],
            }
            small = documents.text_bytes <= parts.SMALL["B"]
            do_one(space.executor, TRAIN_TOKENIZER, task, small=small)
        found = store.require("tokens", "tokenizer", key)
    return Tokenizer(found.file(TOKENIZER_FILE))


TRAIN_TOKENIZER = f"{__name__}:train_tokenizer"


def train_tokenizer(task: Json, report: Report) -> None:
    """Train a BPE on some text of the dataset "documents", as a job; "out": a folder to fill."""
    sample, out = Sample(), Path(task["out"])
    documents = Dataset(Path(task["documents"]))
    texts = sample.counted(sampled_texts(documents, BPE_BYTES, task["seed"]))
    train_bpe(texts, task["vocab"], out / TOKENIZER_FILE)
    write_json(out / SAMPLE, {"seed": task["noted_seed"], **sample.record()})


TOKENIZER_FILE, SAMPLE = "tokenizer.json", "sample.json"
TOKENIZER_FOLDER = "tokenizer"
"""In the study folder: the study's tokenizer, when it is a file."""


def make_tokens(space: Workspace, name: str, documents: Dataset, tokenizer: Tokenizer) -> Artifact:
    """The token set `name` of a dataset of documents."""
    store = space.store
    inputs = {"texts": documents.identity, "tokenizer": tokenizer.digest}
    key = store.key("tokens", TOKENS_VERSION, inputs)
    found = store.find("tokens", name, key)
    if found is None:
        started = time.monotonic()
        # Written where it is resumed: a large source takes hours.
        work = store.work("tokens", name, key)
        write_dataset(work, files_of(documents), tokenizer, space.executor, strict=True)
        found = store.adopt("tokens", name, key, time.monotonic() - started)
    return found


def files_of(documents: Dataset) -> list[InputFile]:
    """The parts of a dataset as input files."""
    return [
        InputFile("documents", str(path.resolve()), part.sha256, size=part.bytes)
        for path, part in zip(documents.paths, documents.parts, strict=True)
        if part.documents
    ]


def corpus_counts(corpus: Artifact) -> dict[str, Any]:
    """What `make_corpus` counted."""
    return dict(read_json(corpus.file(COUNTS)))
