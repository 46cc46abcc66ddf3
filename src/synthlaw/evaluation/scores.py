"""Scores of documents and domains: every convention of loss, with intervals. Needs no torch.

All figures are ratios of sums over documents, so one table of sums per document gives them all:

    loss per token    Σ nll / Σ tokens          nats, the paper's measure ('micro')
    document loss     mean of nll_i / tokens_i  nats, each document counts alike ('macro')
    perplexity        exp(Σ nll / Σ tokens)
    bits per byte     Σ nll / (ln 2 · Σ bytes)
    byte perplexity   exp(Σ nll / Σ bytes)
    word perplexity   exp(Σ nll / Σ words)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synthlaw.common.errors import UsageError
from synthlaw.common.files import atomic_path
from synthlaw.evaluation.intervals import Interval, bootstrap_interval, mean_interval

Metric = Literal[
    "loss", "document_loss", "perplexity", "bits_per_byte", "byte_perplexity", "word_perplexity"
]
METRICS: tuple[Metric, ...] = get_args(Metric)
PERPLEXITIES: tuple[Metric, ...] = ("perplexity", "byte_perplexity", "word_perplexity")
"""Metrics that are the exponential of their ratio."""

_COLUMNS = ("nll", "tokens", "bytes", "words")


@dataclass(frozen=True)
class DocumentScores:
    """Per document, all arrays of one length. nll: summed loss in nats, float64.

    tokens: tokens scored. bytes: UTF-8 bytes of the text. words: its words, as the convention
    counts them.
    """

    nll: np.ndarray
    tokens: np.ndarray
    bytes: np.ndarray
    words: np.ndarray

    def __len__(self) -> int:
        return len(self.nll)


@dataclass(frozen=True)
class DomainScores:
    """One domain's documents as a model scored them."""

    name: str
    documents: DocumentScores

    def __post_init__(self) -> None:
        if int(self.documents.tokens.sum()) == 0:
            raise UsageError(
                f"evaluation domain {self.name!r}: found no token to score in "
                f"{len(self.documents)} documents; expected at least one document of two tokens"
            )

    @property
    def tokens(self) -> int:
        """Tokens scored."""
        return int(self.documents.tokens.sum())

    @property
    def loss(self) -> float:
        """Nats per token over the whole domain (micro)."""
        return self.value("loss")

    @property
    def document_loss(self) -> float:
        """Mean over documents of their nats per token (macro); unscored documents are left out."""
        return self.value("document_loss")

    @property
    def bits_per_byte(self) -> float:
        """Bits per UTF-8 byte; comparable between tokenizers."""
        return self.value("bits_per_byte")

    @property
    def word_perplexity(self) -> float:
        """exp of the nats per word."""
        return self.value("word_perplexity")

    def value(self, metric: Metric) -> float:
        """The figure named `metric`. Raises UsageError when its counts were not given."""
        top, bottom = self.terms(metric)
        ratio = float(top.sum() / bottom.sum())
        return _exponential(ratio) if metric in PERPLEXITIES else ratio

    def interval(
        self, metric: Metric = "loss", *, level: float = 0.9, resamples: int = 2000, seed: int = 0
    ) -> Interval:
        """Bootstrap interval over documents: what another sample of documents would have given.

        It says nothing of another training seed. See `intervals.bootstrap_interval`.
        """
        top, bottom = self.terms(metric)
        found = bootstrap_interval(top, bottom, level=level, resamples=resamples, seed=seed)
        if metric in PERPLEXITIES:
            return _exponentials(found)
        return found

    def terms(self, metric: Metric) -> tuple[np.ndarray, np.ndarray]:
        """Numerator and denominator per document, float64; their sums' ratio is the figure.

        A perplexity is the exponential of the ratio.
        """
        scores = self.documents
        if metric in ("loss", "perplexity"):
            return scores.nll, scores.tokens.astype(np.float64)
        if metric == "document_loss":
            scored = scores.tokens > 0
            each = np.divide(scores.nll, scores.tokens, out=np.zeros(len(scores)), where=scored)
            return each, scored.astype(np.float64)
        if metric == "bits_per_byte":
            return scores.nll / math.log(2), self._counted(scores.bytes, "bytes")
        if metric == "byte_perplexity":
            return scores.nll, self._counted(scores.bytes, "bytes")
        if metric == "word_perplexity":
            return scores.nll, self._counted(scores.words, "words")
        raise UsageError(f"metric: found {metric!r}; expected one of {', '.join(METRICS)}")

    def _counted(self, counts: np.ndarray, name: str) -> np.ndarray:
        if int(counts.sum()) == 0:
            raise UsageError(
                f"evaluation domain {self.name!r}: its documents were scored without their "
                f"{name}; pass {name[:-1]}_counts to score_documents"
            )
        return counts.astype(np.float64)


def pooled(domains: Mapping[str, DomainScores], name: str = "all") -> DomainScores:
    """All domains as one: its `loss` weighs every token alike."""
    parts = [d.documents for d in domains.values()]
    columns = {c: np.concatenate([getattr(p, c) for p in parts]) for c in _COLUMNS}
    return DomainScores(name, DocumentScores(**columns))


def mean_over_domains(domains: Mapping[str, DomainScores], metric: Metric = "loss") -> float:
    """Unweighted mean of the domains' figures, the paper's average over its test sets."""
    return float(np.mean([d.value(metric) for d in domains.values()]))


def mean_interval_over_domains(
    domains: Mapping[str, DomainScores],
    metric: Metric = "loss",
    *,
    level: float = 0.9,
    seed: int = 0,
) -> Interval:
    """Interval of `mean_over_domains`, documents drawn within each domain.

    A mean of perplexities has none: it is no mean of ratios.
    """
    if metric in PERPLEXITIES:
        return Interval(mean_over_domains(domains, metric), math.nan, math.nan)
    terms = [domain.terms(metric) for domain in domains.values()]
    weights = [1 / len(terms)] * len(terms)
    return mean_interval(terms, weights, level=level, seed=seed)


def pooled_interval(
    domains: Mapping[str, DomainScores],
    metric: Metric = "loss",
    *,
    level: float = 0.9,
    seed: int = 0,
) -> Interval:
    """Interval of the figure over all domains as one, the domains' shares of it held as they are.

    Documents are drawn within each domain.
    """
    terms = [domain.terms(metric) for domain in domains.values()]
    sizes = np.array([float(bottom.sum()) for _, bottom in terms])
    found = mean_interval(terms, list(sizes / sizes.sum()), level=level, seed=seed)
    if metric in PERPLEXITIES:
        return _exponentials(found)
    return found


def _exponential(value: float) -> float:
    """e to the power of `value`; infinite where a double cannot hold it, as with one 'word' of
    thousands of letters, or a language that is written without spaces."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _exponentials(found: Interval) -> Interval:
    return Interval(*(_exponential(v) for v in (found.value, found.low, found.high)))


def write_scores(
    path: Path,
    domains: Mapping[str, DomainScores],
    ids: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write one Parquet row per document: domain, document, (id,) nll, tokens, bytes, words.

    ids: the documents' own names by domain.
    """
    tables = []
    for name, domain in domains.items():
        size = len(domain.documents)
        columns = {"domain": pa.array([name] * size), "document": np.arange(size)}
        if ids is not None:
            columns["id"] = pa.array(list(ids[name]), pa.string())
        columns |= {c: getattr(domain.documents, c) for c in _COLUMNS}
        tables.append(pa.table(columns))
    with atomic_path(path) as aside:
        pq.write_table(pa.concat_tables(tables), aside, compression="zstd")


def read_scores(path: Path) -> dict[str, DomainScores]:
    """What `write_scores` wrote, domains in their order. Raises UsageError for another file."""
    try:
        table = pq.read_table(path, columns=["domain", "document", *_COLUMNS])
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"{path}: not a table of evaluation scores: {error}") from error
    names = np.asarray(table["domain"].to_pylist(), dtype=object)
    domains = {}
    for name in dict.fromkeys(names.tolist()):
        chosen = names == name
        columns = {c: table[c].to_numpy()[chosen] for c in _COLUMNS}
        domains[name] = DomainScores(name, DocumentScores(**columns))
    return domains
