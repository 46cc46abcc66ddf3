"""From documents and a model to a folder of scores, domain by domain.

    OUT/domains/<name>/   documents.parquet, domain.json, and token-losses/ on request
    OUT/scores.json       figures by domain and over all, the protocol, the model
    OUT/scores.parquet    one row per document      (scores.read_scores)
    OUT/figures.csv       one row per domain and figure, and .parquet
    OUT/losses.svg        the losses per token with their intervals

A domain's folder appears when the domain is done, and is keyed by model, tokenizer, protocol and
texts: a killed evaluation goes on with the next domain, and another model's never mix.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import UsageError
from synthlaw.common.files import atomic_folder, read_json, write_json
from synthlaw.corpus.documents import Document
from synthlaw.evaluation.conventions import Protocol, prefix, scored_text, word_counter
from synthlaw.evaluation.loading import LoadedModel
from synthlaw.evaluation.scores import DocumentScores, DomainScores, read_scores, write_scores
from synthlaw.evaluation.scoring import TextSizes, score_documents
from synthlaw.evaluation.token_losses import LossSource, TokenLosses, keeping_losses
from synthlaw.evaluation.windows import Windowing
from synthlaw.tokens.tokenizer import Tokenizer

SCORING_VERSION = 1
DOCUMENTS_FILE, DOMAIN_FILE, LOSSES_FOLDER = "documents.parquet", "domain.json", "token-losses"
_BATCH_DOCUMENTS = 256


@dataclass(frozen=True)
class PreparedDomain:
    """A domain's documents as they are scored; lists have one entry per document.

    tokens: ids without BOS and EOS. bytes, words: of the text that the convention counts, cut to
    the scored prefix where there is one. cut: documents longer than the prefix. unknown: tokens
    that are the tokenizer's unknown token. digest: of the texts.
    """

    name: str
    documents: list[str]
    tokens: list[np.ndarray]
    bytes: list[int]
    words: list[int]
    cut: int
    unknown: int
    digest: str


def prepare_domain(
    name: str, documents: Iterable[Document], tokenizer: Tokenizer, protocol: Protocol
) -> PreparedDomain:
    """Tokenize and count a domain's documents by the protocol's convention.

    Raises UsageError when there is no token to score in them.
    """
    kind = np.uint16 if tokenizer.vocab <= 1 << 16 else np.uint32
    words_of = word_counter(protocol.convention)
    names: list[str] = []
    tokens: list[np.ndarray] = []
    sizes, words, cut = [], [], 0
    digest = hashlib.sha256()
    iterator = iter(documents)
    while batch := list(islice(iterator, _BATCH_DOCUMENTS)):
        read = [scored_text(protocol.convention, name, document.text) for document in batch]
        for document, text, whole in zip(batch, read, tokenizer.encode(read), strict=True):
            digest.update(f"{len(text)}:".encode() + text.encode())
            ids, counted = whole, document.text
            if protocol.max_tokens and len(whole) > protocol.max_tokens:
                ids, counted = prefix(tokenizer, whole, protocol.max_tokens)
                cut += 1
            names.append(document.id)
            tokens.append(ids.astype(kind))
            sizes.append(len(counted.encode()))
            words.append(words_of(counted))
    fewest = 1 if protocol.prefix != "none" else 2
    if not any(len(ids) >= fewest for ids in tokens):
        raise UsageError(
            f"evaluation domain {name!r}: found no token to score in {len(tokens)} documents; "
            f"expected at least one document of {fewest} tokens"
        )
    rare = _unknown_id(tokenizer)
    unknown = 0 if rare is None else sum(int(np.sum(ids == rare)) for ids in tokens)
    return PreparedDomain(name, names, tokens, sizes, words, cut, unknown, digest.hexdigest())


def _unknown_id(tokenizer: Tokenizer) -> int | None:
    """The id that stands for what the tokenizer cannot spell; byte-level tokenizers have none."""
    model = read_json(tokenizer.path)["model"]
    name, vocab = model.get("unk_token"), model.get("vocab")
    if isinstance(name, str) and isinstance(vocab, dict):
        return vocab.get(name)
    number = model.get("unk_id")  # unigram models say it by place
    return number if isinstance(number, int) else None


@dataclass(frozen=True)
class Evaluator:
    """A model with its tokenizer and protocol, ready to score domains into a folder."""

    loaded: LoadedModel
    tokenizer: Tokenizer
    protocol: Protocol

    def __post_init__(self) -> None:
        vocab = self.loaded.model.shape.vocab
        if self.tokenizer.vocab > vocab:
            raise UsageError(
                f"{self.tokenizer.path}: has ids up to {self.tokenizer.vocab - 1}, the model in "
                f"{self.loaded.folder} has {vocab} entries; expected the tokenizer that it was "
                "trained with"
            )

    @property
    def prefix_id(self) -> int | None:
        """The token put before each document."""
        ids = {"bos": self.tokenizer.bos, "eos": self.tokenizer.eos}
        return ids.get(self.protocol.prefix)

    def source_of(self, domain: str) -> LossSource:
        """What kept losses say of their origin."""
        return LossSource(
            domain=domain,
            model=self.loaded.digest,
            tokenizer=self.tokenizer.digest,
            vocab=self.tokenizer.vocab,
            window=self.protocol.window,
            stride=self.protocol.stride,
            bos=self.prefix_id,
            dtype=self.protocol.dtype,
        )

    def key(self, domain: PreparedDomain) -> str:
        """Digest of all that determines the domain's scores."""
        return digest_of(
            {
                "version": SCORING_VERSION,
                "model": self.loaded.digest,
                "tokenizer": self.tokenizer.digest,
                "protocol": asdict(self.protocol),
                "domain": domain.name,
                "texts": domain.digest,
            }
        )

    def find(self, domain: PreparedDomain, folder: Path, losses: bool) -> DomainScores | None:
        """The domain's scores if `folder` holds them whole (with kept `losses` if asked for)."""
        try:
            if read_json(folder / DOMAIN_FILE)["key"] != self.key(domain):
                return None
            if losses:
                TokenLosses(folder / LOSSES_FOLDER)
            return read_scores(folder / DOCUMENTS_FILE)[domain.name]
        except (OSError, ValueError, KeyError, TypeError, UsageError):
            return None

    def score(
        self,
        domain: PreparedDomain,
        folder: Path,
        *,
        losses: bool = False,
        on_progress: Callable[[int], None] | None = None,
    ) -> DomainScores:
        """Score a domain into `folder`, atomically; `losses` keeps every token's loss there too."""
        with atomic_folder(folder) as aside:
            place = aside / LOSSES_FOLDER
            source = self.source_of(domain.name)
            with keeping_losses(place, domain.tokens, source) if losses else nullcontext() as keep:
                scores = self._sums(domain, on_progress, keep)
            scored = DomainScores(domain.name, scores)
            names = {domain.name: domain.documents}
            write_scores(aside / DOCUMENTS_FILE, {domain.name: scored}, names)
            facts = {"key": self.key(domain), "cut": domain.cut, "unknown": domain.unknown}
            write_json(aside / DOMAIN_FILE, facts | {"protocol": asdict(self.protocol)})
        return scored

    def _sums(
        self,
        domain: PreparedDomain,
        on_progress: Callable[[int], None] | None,
        on_losses: Callable[[int, int, np.ndarray], None] | None,
    ) -> DocumentScores:
        return score_documents(
            self.loaded.model,
            domain.tokens,
            Windowing(self.protocol.window, self.protocol.stride, self.prefix_id),
            sizes=TextSizes(domain.bytes, domain.words),
            dtype=self.protocol.dtype,
            on_progress=on_progress,
            on_losses=on_losses,
        )
