"""The held-out domains of a study: their documents, and their tokens with each text's counts."""

from __future__ import annotations

import numpy as np

from synthlaw.common.errors import UsageError
from synthlaw.corpus.documents import read_documents, write_documents
from synthlaw.corpus.prepare import prepare
from synthlaw.evaluation.conventions import prefix
from synthlaw.evaluation.domains import PILE_DOMAINS, of_domain
from synthlaw.study.data.natural import CORPUS_VERSION, choose, inputs_of, read_source, texts_of
from synthlaw.study.store import Artifact
from synthlaw.study.workspace import Workspace
from synthlaw.tokens.tokenizer import Tokenizer
from synthlaw.tokens.writing import write_dataset

DOMAIN_TOKENS_VERSION = 3


def make_domain(space: Workspace, name: str, corpus: Artifact) -> Artifact:
    """The documents of one evaluation domain: documents.parquet.

    The domain 'natural' is the natural text's own held-out share. One that bears the name of a
    Pile domain takes only its own documents from a file of the Pile, its own files from a folder.
    """
    study, store = space.study, space.store
    source = study.evaluation.domains.get(name)
    inputs = {
        "source": corpus.content if source is None else inputs_of(space, source, name),
        "documents": study.evaluation.documents,
        "seed": study.seed,
    }
    if name in PILE_DOMAINS:
        inputs["pile_set"] = PILE_DOMAINS[name]
    key = store.key("corpus", CORPUS_VERSION, inputs)
    found = store.find("corpus", f"domain-{name}", key)
    if found is not None:
        return found
    if source is None:
        documents = list(read_documents(corpus.file("held_out.parquet")))
    else:
        own = of_domain(name, read_source(space, source, name))
        everything = prepare(own, held_out=0.0, max_words=0, seed=study.seed)
        documents = everything.training
    if not documents:
        raise UsageError(f"evaluation.domains.{name}: no usable document was found")
    with store.making("corpus", f"domain-{name}", key) as aside:
        chosen = choose(documents, study.evaluation.documents, study.seed)
        write_documents(aside / "documents.parquet", chosen)
    return store.require("corpus", f"domain-{name}", key)


def make_domain_tokens(
    space: Workspace, name: str, documents: Artifact, tokenizer: Tokenizer
) -> Artifact:
    """A domain's token set with bytes.npy and words.npy, int64 [documents], of each text.

    A text longer than `evaluation.max_tokens` is cut to that prefix first; the counts are those
    of the prefix.
    """
    longest = space.study.evaluation.max_tokens
    inputs = {
        "documents": documents.content,
        "tokenizer": tokenizer.digest,
        "max_tokens": longest,
    }
    key = space.store.key("tokens", DOMAIN_TOKENS_VERSION, inputs)
    found = space.store.find("tokens", f"domain-{name}", key)
    if found is not None:
        return found
    texts = list(texts_of(documents.file("documents.parquet")))
    for place, ids in enumerate(tokenizer.encode(texts)):
        if len(ids) > longest:
            texts[place] = prefix(tokenizer, ids, longest)[1]
    with space.store.making("tokens", f"domain-{name}", key) as aside:
        write_dataset(aside, texts, tokenizer)
        np.save(aside / "bytes.npy", np.array([len(text.encode()) for text in texts], np.int64))
        np.save(aside / "words.npy", np.array([len(text.split()) for text in texts], np.int64))
    return space.store.require("tokens", f"domain-{name}", key)
