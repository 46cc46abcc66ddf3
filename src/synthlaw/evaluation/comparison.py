"""Models compared on the same documents: paired differences by domain and over all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from synthlaw.common.errors import UsageError
from synthlaw.evaluation.figures import LEVEL, MEAN, POOLED, Row, bounds
from synthlaw.evaluation.intervals import (
    PairedDifference,
    holm,
    mean_difference,
    paired_difference,
)
from synthlaw.evaluation.scores import DomainScores

Comparable = Literal["loss", "document_loss", "bits_per_byte"]
"""Metrics that are ratios of sums, so that their differences are too."""

Scores = Mapping[str, DomainScores]


def compare(
    models: Mapping[str, Scores], metric: Comparable = "loss", *, seed: int = 0
) -> list[Row]:
    """Each model against the first on every domain that all of them have, then over all domains.

    One row per model and domain: difference (the model minus the first: below zero is better),
    90% bounds, p_value, and p_holm, corrected for the number of models and domains. The rows of
    kind 'pooled' and 'mean' stand after a model's domains, without p_holm.
    Raises UsageError when fewer than two models, no common domain, or other documents are given.
    """
    if len(models) < 2:
        raise UsageError(f"comparison: found {len(models)} model; expected at least two")
    (base, scores), *others = models.items()
    common = [name for name in scores if all(name in other for _, other in others)]
    if not common:
        listed = "; ".join(f"{name}: {', '.join(found)}" for name, found in models.items())
        raise UsageError(f"comparison: no domain is in all results ({listed})")
    rows: list[Row] = []
    for name, other in others:
        for domain in common:
            _check_documents(domain, base, scores[domain], name, other[domain])
        rows += _rows(name, {d: (other[d], scores[d]) for d in common}, metric, seed)
    domains = [row for row in rows if row["kind"] == "domain"]
    nan = float("nan")
    found = [nan if row["p_value"] is None else row["p_value"] for row in domains]
    for row, corrected in zip(domains, holm(found), strict=True):
        row["p_holm"] = None if np.isnan(corrected) else corrected
    return rows


def _check_documents(
    domain: str, base: str, scores: DomainScores, name: str, other: DomainScores
) -> None:
    first, second = scores.documents, other.documents
    if not np.array_equal(first.bytes, second.bytes):
        raise UsageError(
            f"comparison on {domain!r}: {base} has {len(first)} documents of "
            f"{int(first.bytes.sum()):,} bytes, {name} has {len(second)} of "
            f"{int(second.bytes.sum()):,}; expected the same documents in the same order"
        )


def _rows(
    name: str,
    pairs: Mapping[str, tuple[DomainScores, DomainScores]],
    metric: Comparable,
    seed: int,
) -> list[Row]:
    terms = {d: (ours.terms(metric), base.terms(metric)) for d, (ours, base) in pairs.items()}
    for domain, (one, two) in terms.items():
        if not np.array_equal(one[1], two[1]):
            raise UsageError(
                f"comparison on {domain!r}: the documents were cut into different tokens; "
                "compare models of different tokenizers or prefixes by bits_per_byte"
            )
    rows = []
    for domain, (ours, base) in terms.items():
        found = paired_difference(ours, base, level=LEVEL, seed=seed)
        values = [float(top.sum() / bottom.sum()) for top, bottom in (base, ours)]
        rows.append(_row("domain", name, domain, metric, values, found, len(ours[0])))
    if len(terms) > 1:
        sizes = np.array([float(base[1].sum()) for _, base in terms.values()])
        even = np.full(len(sizes), 1 / len(sizes))
        for kind, label, weights in (("pooled", POOLED, sizes / sizes.sum()), ("mean", MEAN, even)):
            firsts, seconds = zip(*terms.values(), strict=True)
            found = mean_difference(firsts, seconds, list(weights), level=LEVEL, seed=seed)
            values = [
                float(weights @ [top.sum() / bottom.sum() for top, bottom in side])
                for side in (seconds, firsts)
            ]
            count = sum(len(base[0]) for _, base in terms.values())
            rows.append(_row(kind, name, label, metric, values, found, count))
    return rows


def _row(
    kind: str,
    name: str,
    domain: str,
    metric: str,
    values: list[float],
    found: PairedDifference,
    documents: int,
) -> Row:
    return {
        "kind": kind,
        "model": name,
        "domain": domain,
        "metric": metric,
        "baseline": values[0],
        "value": values[1],
        "difference": found.value,
        **bounds(found.low, found.high),
        "p_value": None if np.isnan(found.p_value) else found.p_value,
        "p_holm": None,
        "documents": documents,
    }
