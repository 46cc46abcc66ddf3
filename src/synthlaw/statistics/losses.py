"""Loss by token: which tokens carry a model's loss, and which explain the difference of two models.

Everything is a sum over the scored tokens of a document set, kept by token id and by block of
documents, so that one pass over the kept losses gives the tables and their intervals.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from synthlaw.common.errors import UsageError
from synthlaw.evaluation.token_losses import TokenLosses
from synthlaw.statistics.coverage import PER
from synthlaw.statistics.jackknife import FEWEST_BLOCKS, LEVEL, Estimate, standard_errors, unbounded
from synthlaw.statistics.unigrams import BLOCKS

GROUPS = 10
"""Deciles of the test set's tokens by training frequency."""


@dataclass(frozen=True)
class LossSums:
    """Summed losses of one model on one document set.

    losses: float64 [blocks, vocab] in nats. scored: int64 [blocks, vocab], tokens with a loss.
    """

    losses: np.ndarray
    scored: np.ndarray

    @cached_property
    def by_token(self) -> tuple[np.ndarray, np.ndarray]:
        """Summed loss float64 [vocab] and scored tokens int64 [vocab], of each token id."""
        return self.losses.sum(axis=0), self.scored.sum(axis=0)

    @property
    def loss(self) -> float:
        """Nats per token."""
        losses, scored = self.by_token
        return float(losses.sum() / max(int(scored.sum()), 1))


def sum_losses(kept: TokenLosses) -> LossSums:
    """Sum the kept losses of one document set by block and token, a document range at a time.

    Raises UsageError when nothing was scored, or for a loss that is not finite.
    """
    manifest = kept.manifest
    vocab, count = manifest.source.vocab, len(kept)
    blocks = max(1, min(BLOCKS, count))
    edges = np.linspace(0, count, blocks + 1).astype(np.int64)
    losses = np.zeros((blocks, vocab))
    scored = np.zeros((blocks, vocab), dtype=np.int64)
    for block in range(blocks):
        start, end = (int(kept.offsets[edges[block + i]]) for i in (0, 1))
        ids = np.asarray(kept.tokens[start:end], dtype=np.int64)
        values = np.asarray(kept.losses[start:end], dtype=np.float64)
        there = ~np.isnan(values)
        if not np.isfinite(values[there]).all():
            raise UsageError(f"{kept.folder}: holds an infinite loss; the model has diverged")
        if len(ids) and int(ids.max()) >= vocab:
            raise UsageError(
                f"{kept.folder}: found token id {ids.max()}; expected ids below {vocab}"
            )
        losses[block] = np.bincount(ids[there], weights=values[there], minlength=vocab)
        scored[block] = np.bincount(ids[there], minlength=vocab)
    if not scored.any():
        raise UsageError(f"{kept.folder}: holds no scored token; expected at least one")
    return LossSums(losses, scored)


@dataclass(frozen=True)
class Group:
    """Scored tokens whose training frequency, per million, is from `low` to below `high`.

    tokens: how many. types: different ones. loss: mean, nats per token, with its interval over
    blocks of documents. share: part of the whole loss. token_share: part of the scored tokens.
    """

    low: float
    high: float
    tokens: int
    types: int
    loss: Estimate
    share: float
    token_share: float


def by_frequency(sums: LossSums, training: np.ndarray) -> list[Group]:
    """Loss against training frequency: unseen tokens first, then one group per factor of ten.

    training: counts of the training set [vocab].
    """
    frequency = training * (PER / max(float(training.sum()), 1.0))
    edges = [0.0, *(10.0**power for power in range(-2, 6)), np.inf]
    kinds = np.where(training == 0, 0, np.searchsorted(edges[1:-1], frequency, side="right") + 1)
    lows, highs = [0.0, *edges[:-1]], [0.0, *edges[1:]]
    return _groups(sums, kinds, list(zip(lows, highs, strict=True)))


def by_decile(sums: LossSums, training: np.ndarray) -> list[Group]:
    """Ten groups of about equally many scored tokens, rarest in training first.

    A token id is never cut in two, so a frequent one can make its group larger, and a group that
    it swallows is left out.
    """
    frequency = training * (PER / max(float(training.sum()), 1.0))
    _, scored = sums.by_token
    order = np.lexsort((np.arange(len(scored)), frequency))
    middle = np.cumsum(scored[order]) - scored[order] / 2
    group = np.minimum((middle * GROUPS / max(int(scored.sum()), 1)).astype(np.int64), GROUPS - 1)
    kinds = np.empty(len(scored), dtype=np.int64)
    kinds[order] = group
    here = scored > 0
    spans = []
    for number in range(GROUPS):
        inside = frequency[here & (kinds == number)]
        spans.append((float(inside.min()), float(inside.max())) if len(inside) else (0.0, 0.0))
    return _groups(sums, kinds, spans)


def _groups(sums: LossSums, kinds: np.ndarray, spans: list[tuple[float, float]]) -> list[Group]:
    losses, scored = sums.by_token
    found = []
    for number, (low, high) in enumerate(spans):
        inside = kinds == number
        tokens = int(scored[inside].sum())
        if tokens == 0:
            continue
        found.append(
            Group(
                low,
                high,
                tokens,
                int(np.count_nonzero(scored[inside])),
                _ratio(sums.losses[:, inside].sum(axis=1), sums.scored[:, inside].sum(axis=1)),
                float(losses[inside].sum() / losses.sum()),
                tokens / int(scored.sum()),
            )
        )
    return found


def _ratio(top: np.ndarray, bottom: np.ndarray) -> Estimate:
    """sum(top) / sum(bottom) over blocks, with the jackknife's interval."""
    used = bottom > 0
    top, bottom = top[used].astype(np.float64), bottom[used].astype(np.float64)
    value = float(top.sum() / bottom.sum())
    if len(top) < FEWEST_BLOCKS:
        return unbounded(value)
    left = (top.sum() - top) / (bottom.sum() - bottom)
    error = float(standard_errors(np.array(value), left, bottom))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(top) - 1)) * error
    return Estimate(value, error, value - reach, value + reach)


@dataclass(frozen=True)
class Difference:
    """Two models on the same tokens, token id by token id; arrays are [vocab].

    total: summed loss of the first minus the second, nats. part: total over the scored tokens of
    the whole set, so that parts add to the difference of the models' losses per token. error: the
    standard error of `part` over blocks of documents; NaN with too few blocks. scored: tokens.
    """

    part: np.ndarray
    error: np.ndarray
    scored: np.ndarray

    @property
    def loss(self) -> float:
        """Difference of the models' losses, nats per token."""
        return float(self.part.sum())

    def most(self, count: int) -> np.ndarray:
        """Ids whose parts are largest in size, at most `count`, of either sign."""
        found = np.argsort(-np.abs(self.part), kind="stable")[:count]
        return np.asarray(found[self.part[found] != 0])


def difference(first: LossSums, second: LossSums) -> Difference:
    """Which tokens explain that the first model's loss is not the second's.

    Raises UsageError unless both models scored the same tokens of the same documents.
    """
    if first.scored.shape != second.scored.shape or not np.array_equal(first.scored, second.scored):
        raise UsageError(
            "loss difference: the two models did not score the same tokens; expected the same "
            "documents, tokenizer and protocol"
        )
    scored = first.scored.sum(axis=1).astype(np.float64)
    totals = (first.losses - second.losses)[scored > 0]
    scored = scored[scored > 0]
    part = totals.sum(axis=0) / scored.sum()
    if len(scored) < FEWEST_BLOCKS:
        error = np.full(len(part), np.nan)
    else:
        left = (totals.sum(axis=0) - totals) / (scored.sum() - scored)[:, None]
        error = standard_errors(part, left, scored)
    return Difference(part, error, first.scored.sum(axis=0))


def loss_curve(losses: np.ndarray, width: int) -> np.ndarray:
    """Rolling mean of a document's losses over the last `width` scored tokens (Figure 10).

    losses: [tokens], NaN where a token was not scored, which stays NaN and is left out of means.
    The first `width` - 1 means are over what there is.
    """
    if width < 1:
        raise UsageError(f"rolling average: found a width of {width}; expected at least 1")
    values = np.asarray(losses, dtype=np.float64)
    there = ~np.isnan(values)
    sums = np.concatenate(([0.0], np.cumsum(values[there])))
    ends = np.arange(1, len(sums))
    starts = np.maximum(ends - width, 0)
    rolled = np.full(len(values), np.nan)
    rolled[there] = (sums[ends] - sums[starts]) / (ends - starts)
    return rolled
