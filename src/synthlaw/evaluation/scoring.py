"""Losses of documents under a model: one pass gives the sums that every convention needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from synthlaw.common.errors import UsageError
from synthlaw.evaluation.scores import DocumentScores
from synthlaw.evaluation.windows import Window, Windowing, scorable, windows_of
from synthlaw.training.config import Precision
from synthlaw.training.device import autocast
from synthlaw.training.model import Llama

BATCH_TOKENS_CPU = 1 << 11
"""Positions per forward pass on a CPU: more only leave its caches."""

BATCH_TOKENS = 1 << 16
"""Positions per forward pass on an accelerator."""

SORT_TOKENS = 1 << 22
"""Positions sorted by length at a time: bounds memory, whatever the size of the set."""


@dataclass(frozen=True)
class TextSizes:
    """Bytes and words of documents' texts, an entry per document, for figures per byte and word."""

    bytes: Sequence[int]
    words: Sequence[int]


def score_documents(
    model: Llama,
    documents: Sequence[np.ndarray],
    windowing: Windowing,
    *,
    sizes: TextSizes | None = None,
    batch_tokens: int = 0,
    dtype: Precision = "fp32",
    on_progress: Callable[[int], None] | None = None,
    on_losses: Callable[[int, int, np.ndarray], None] | None = None,
) -> DocumentScores:
    """Score token id arrays (without BOS) under `model`; each token exactly once.

    sizes: of the texts, kept beside the sums; zero when not given. A batch holds at most
    `batch_tokens` positions (0: by the device), one window at least; windows are sorted by length
    to pad little, and neither changes a document's sum beyond rounding. dtype: of the products;
    sums are float64. on_progress(tokens) reports scored tokens batch by batch;
    on_losses(document, first, losses) hands over every loss (nats, float32), `first` being the
    index of its token in the document.

    An empty document (or one token without BOS) gets zero tokens and zero nats. Raises UsageError
    for a token id outside the vocabulary or sizes of another length.
    """
    bos = windowing.bos
    _check_ids(documents, model.shape.vocab, bos)
    scores = DocumentScores(
        np.zeros(len(documents)),
        np.array([scorable(len(d), windowing) for d in documents], dtype=np.int64),
        _counts(sizes.bytes if sizes else None, len(documents), "bytes"),
        _counts(sizes.words if sizes else None, len(documents), "words"),
    )
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    positions = batch_tokens or (BATCH_TOKENS_CPU if device.type == "cpu" else BATCH_TOKENS)
    for batch in _batches(documents, windowing, positions):
        for part, losses in zip(batch, _losses(model, documents, batch, bos, dtype), strict=True):
            scores.nll[part.document] += losses.sum(dtype=np.float64)
            if on_losses is not None:
                first = part.end - part.scored + (0 if bos is not None else 1)
                on_losses(part.document, first, losses)
        if on_progress is not None:
            on_progress(sum(part.scored for part in batch))
    model.train(was_training)
    return scores


def _check_ids(documents: Sequence[np.ndarray], vocab: int, bos: int | None) -> None:
    if bos is not None and not 0 <= bos < vocab:
        raise UsageError(f"bos: found token id {bos}; expected 0 to {vocab - 1}")
    for index, document in enumerate(documents):
        if len(document) and (int(document.min()) < 0 or int(document.max()) >= vocab):
            wrong = document[(document < 0) | (document >= vocab)][0]
            raise UsageError(
                f"document {index}: found token id {wrong}; expected 0 to {vocab - 1}, the "
                "model's vocabulary. Tokenize with the tokenizer that the model was trained with"
            )


def _counts(given: Sequence[int] | None, length: int, name: str) -> np.ndarray:
    counts = np.zeros(length, dtype=np.int64) if given is None else np.asarray(given, np.int64)
    if counts.shape != (length,):
        raise UsageError(f"{name}: found {len(counts)} counts for {length} documents")
    return counts


def _batches(
    documents: Sequence[np.ndarray], windowing: Windowing, positions: int
) -> Iterator[list[Window]]:
    """Windows in batches of at most `positions` padded positions (one window at least)."""
    every = (w for i, d in enumerate(documents) for w in windows_of(i, len(d), windowing))
    for pool in _pools(every):
        pool.sort(key=lambda w: -w.length)
        batch: list[Window] = []
        for part in pool:
            if batch and (len(batch) + 1) * batch[0].length > positions:
                yield batch
                batch = []
            batch.append(part)
        if batch:
            yield batch


def _pools(windows: Iterable[Window]) -> Iterator[list[Window]]:
    pool: list[Window] = []
    size = 0
    for part in windows:
        pool.append(part)
        size += part.length
        if size >= SORT_TOKENS:
            yield pool
            pool, size = [], 0
    if pool:
        yield pool


def _losses(
    model: Llama,
    documents: Sequence[np.ndarray],
    batch: list[Window],
    bos: int | None,
    dtype: Precision,
) -> Iterator[np.ndarray]:
    """For each window the losses of its scored tokens, float32, in order."""
    longest = max(part.length for part in batch)
    # Padding stands on the right, where a causal model cannot see it; its losses are cut off.
    rows = np.zeros((len(batch), longest + 1), dtype=np.int64)
    places, wanted = np.arange(longest), []
    for row, part in zip(rows, batch, strict=True):
        document = documents[part.document]
        if bos is None:
            row[: part.length + 1] = document[part.begin : part.end + 1]
        elif part.begin == 0:
            row[0] = bos
            row[1 : part.length + 1] = document[: part.end]
        else:
            row[: part.length + 1] = document[part.begin - 1 : part.end]
        wanted.append((places >= part.length - part.scored) & (places < part.length))
    device = next(model.parameters()).device
    tokens, where = torch.from_numpy(rows).to(device), torch.from_numpy(np.stack(wanted)).to(device)
    with torch.inference_mode(), autocast(device, dtype):
        losses = model.token_losses(tokens[:, :-1], tokens[:, 1:], where).cpu().numpy()
    yield from np.split(losses, np.cumsum([part.scored for part in batch])[:-1])
