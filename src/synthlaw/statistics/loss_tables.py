"""The tables of loss by token: by training frequency, by decile, by token, between two models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from synthlaw.common.errors import UsageError
from synthlaw.evaluation.token_losses import TokenLosses
from synthlaw.statistics.coverage import PER, gaps
from synthlaw.statistics.losses import (
    Group,
    LossSums,
    by_decile,
    by_frequency,
    difference,
    loss_curve,
    sum_losses,
)
from synthlaw.statistics.unigrams import Unigrams
from synthlaw.statistics.words import TokenTexts

Row = dict[str, Any]
MOST_TOKENS = 40
CURVE_TOKENS = 2000
"""Tokens of a loss curve: the start of the longest document within them, or of the first."""

ROLLING = 100


@dataclass(frozen=True)
class ModelLosses:
    """Kept losses of one model on one domain, and the counts of what the model was trained on."""

    model: str
    kept: TokenLosses
    training: Unigrams

    @property
    def domain(self) -> str:
        """The document set that was scored."""
        return self.kept.source.domain


def loss_rows(losses: Sequence[ModelLosses], texts: TokenTexts) -> dict[str, list[Row]]:
    """`loss_by_frequency`, `loss_by_token`, `loss_curve` and `loss_difference`.

    Raises UsageError for losses of another tokenizer than the counts.
    """
    tables: dict[str, list[Row]] = {
        "loss_by_frequency": [],
        "loss_by_token": [],
        "loss_curve": [],
        "loss_difference": [],
    }
    sums: dict[tuple[str, str], LossSums] = {}
    for one in losses:
        _check(one)
        found = sums[one.domain, one.model] = sum_losses(one.kept)
        tables["loss_by_frequency"] += _frequency_rows(one, found)
        tables["loss_by_token"] += _token_rows(one, found, texts)
        tables["loss_curve"] += _curve_rows(one, texts)
    tables["loss_difference"] = list(_difference_rows(sums, texts))
    return tables


def _check(one: ModelLosses) -> None:
    theirs, ours = one.kept.source, one.training
    if theirs.tokenizer != ours.tokenizer or theirs.vocab != ours.vocab:
        raise UsageError(
            f"{one.kept.folder}: scored with tokenizer {theirs.tokenizer[:12]} ({theirs.vocab} "
            f"entries); the token set {ours.name!r} has {ours.tokenizer[:12]} ({ours.vocab})"
        )


def _frequency_rows(one: ModelLosses, sums: LossSums) -> list[Row]:
    rows = []
    counts = one.training.counts
    for grouping, groups in (
        ("frequency", by_frequency(sums, counts)),
        ("decile", by_decile(sums, counts)),
    ):
        for number, group in enumerate(groups):
            rows.append(
                {"model": one.model, "test": one.domain, "grouping": grouping, "group": number}
                | _group_row(group)
            )
    return rows


def _group_row(group: Group) -> Row:
    return {
        "per_million_low": group.low,
        "per_million_high": group.high if np.isfinite(group.high) else None,
        "tokens": group.tokens,
        "types": group.types,
        "loss": group.loss.value,
        "loss_low": group.loss.low,
        "loss_high": group.loss.high,
        "loss_share": group.share,
        "token_share": group.token_share,
    }


def _token_rows(one: ModelLosses, sums: LossSums, texts: TokenTexts) -> list[Row]:
    """The tokens that carry the most loss, and the gaps of this model's training set."""
    losses, scored = sums.by_token
    short = gaps(scored, one.training.counts)
    heaviest = np.argsort(-losses, kind="stable")[:MOST_TOKENS]
    heaviest = heaviest[losses[heaviest] > 0]
    frequency = one.training.probabilities() * PER
    rows = []
    for kind, chosen in (("heaviest", heaviest), ("gap", short[:MOST_TOKENS])):
        for token in chosen:
            rows.append(
                {
                    "model": one.model,
                    "test": one.domain,
                    "kind": kind,
                    "token": int(token),
                    "text": texts.of(int(token)),
                    "scored": int(scored[token]),
                    "loss": float(losses[token] / scored[token]),
                    "loss_share": float(losses[token] / losses.sum()),
                    "test_per_million": float(scored[token] / scored.sum() * PER),
                    "training_per_million": float(frequency[token]),
                }
            )
    return rows


def _curve_rows(one: ModelLosses, texts: TokenTexts) -> list[Row]:
    """Figure 10: the losses of one document and their rolling mean."""
    sizes = np.diff(np.asarray(one.kept.offsets, dtype=np.int64))
    if not len(sizes):
        return []
    index = int(np.argmax(np.minimum(sizes, CURVE_TOKENS)))
    ids, losses = (values[:CURVE_TOKENS] for values in one.kept.document(index))
    frequency = one.training.probabilities() * PER
    rolled = loss_curve(losses, ROLLING)
    return [
        {
            "model": one.model,
            "test": one.domain,
            "document": index,
            "position": place,
            "token": int(ids[place]),
            "text": texts.of(int(ids[place])),
            "loss": float(losses[place]),
            "rolling": float(rolled[place]),
            "training_per_million": float(frequency[ids[place]]),
        }
        for place in range(len(ids))
    ]


def _difference_rows(sums: dict[tuple[str, str], LossSums], texts: TokenTexts) -> Iterator[Row]:
    """For every two models on one domain the tokens with the largest parts of their difference."""
    for (domain, first), (other, second) in combinations(sums, 2):
        if domain != other:
            continue
        found = difference(sums[domain, first], sums[domain, second])
        for token in found.most(MOST_TOKENS):
            yield {
                "test": domain,
                "first": first,
                "second": second,
                "difference": found.loss,
                "token": int(token),
                "text": texts.of(int(token)),
                "scored": int(found.scored[token]),
                "part": float(found.part[token]),
                "error": float(found.error[token]),
            }
