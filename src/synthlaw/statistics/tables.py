"""The tables of unigram statistics: one row per set, pair of sets, or token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from synthlaw.statistics.coverage import PER, coverage, gaps
from synthlaw.statistics.divergence import entropy
from synthlaw.statistics.jackknife import jackknife
from synthlaw.statistics.overuse import overuse
from synthlaw.statistics.sets import Compared
from synthlaw.statistics.support import curve_sizes, expected_types, support, types_by_blocks
from synthlaw.statistics.unigrams import Unigrams
from synthlaw.statistics.words import TokenTexts
from synthlaw.statistics.zipf import ZipfFit, fit_zipf, zipf_law

Row = dict[str, Any]
MOST_TOKENS = 40
"""Tokens listed for each pair of sets."""

RANK_POINTS = 120
RANK_GROUPS = 50
EVERY = "(all training sets)"
"""The row for the union of all training sets."""


def _each(compared: Compared) -> Iterator[tuple[str, str, str, Unigrams]]:
    """(set, role, sample, counts): every set whole, and every one at its common size."""
    for name, one in compared.training.items():
        yield name, "training", "whole", one
    for name, one in compared.tests.items():
        yield name, "test", "whole", one
    for name, one in compared.equal.items():
        yield name, compared.role(name), "equal", one
    for name, one in compared.equal_tests.items():
        yield name, "test", "equal", one


def support_rows(compared: Compared) -> list[Row]:
    """`support`: types, unseen mass and entropy of each set, whole and at equal size.

    At equal size `types` is the expected number, with its interval over blocks of documents.
    """
    rows = []
    for name, role, sample, one in _each(compared):
        row: Row = {"set": name, "role": role, "sample": sample, "documents": one.documents}
        row |= asdict(support(one.counts))
        mean = jackknife(one.blocks, lambda counts: entropy(counts / max(counts.sum(), 1)))[0]
        row |= {"entropy": mean.value, "entropy_low": mean.low, "entropy_high": mean.high}
        whole = (compared.tests if role == "test" else compared.training).get(name)
        if sample == "equal" and whole is not None:
            types = jackknife(whole.blocks, partial(expected_types, sizes=[one.tokens]))[0]
            row |= {"types": types.value, "types_low": types.low, "types_high": types.high}
        rows.append(row)
    return rows


def growth_rows(compared: Compared) -> list[Row]:
    """`growth`: the type-token curve, over tokens drawn one by one and over whole documents."""
    rows = []
    for name, role, one in _whole(compared):
        sizes = curve_sizes(one.tokens)
        drawn = zip(sizes, expected_types(one.counts, sizes), strict=True)
        read = zip(*types_by_blocks(one.blocks), strict=True)
        for unit, points in (("tokens", drawn), ("documents", read)):
            for tokens, types in points:
                facts = {"set": name, "role": role, "drawn": unit}
                rows.append({**facts, "tokens": float(tokens), "types": float(types)})
    return rows


def _whole(compared: Compared) -> Iterator[tuple[str, str, Unigrams]]:
    for name, one in compared.training.items():
        yield name, "training", one
    for name, one in compared.tests.items():
        yield name, "test", one


def zipf_rows(compared: Compared, seed: int) -> tuple[list[Row], list[Row]]:
    """`zipf`: both laws for every set at equal size; `ranks`: frequency and law by rank."""
    fits, ranks = [], []
    for name, role, sample, one in _each(compared):
        if sample == "whole":
            continue
        for law, shifted in (("zipf", False), ("zipf-mandelbrot", True)):
            fit = fit_zipf(one.blocks, shifted=shifted, seed=seed)
            fits.append({"set": name, "role": role, "law": law, **_fit_row(fit)})
        ranks += _rank_rows(name, role, one, fit)
    return fits, ranks


def _fit_row(fit: ZipfFit) -> Row:
    row: Row = {}
    for part, estimate in (("exponent", fit.exponent), ("shift", fit.shift)):
        row |= {part: estimate.value, f"{part}_low": estimate.low, f"{part}_high": estimate.high}
    return row | {"ranks": fit.ranks, "tokens": fit.tokens, "misfit": fit.misfit}


def _rank_rows(name: str, role: str, one: Unigrams, fit: ZipfFit) -> list[Row]:
    """Frequencies at ranks even in logarithm, and those of the Zipf-Mandelbrot law."""
    frequency = np.sort(one.probabilities()[one.counts > 0])[::-1] * PER
    law = np.full(len(frequency), np.nan)
    if not np.isnan(fit.exponent.value):
        part = fit.tokens / one.tokens
        fitted = zipf_law(fit.ranks, fit.exponent.value, fit.shift.value)
        law[: fit.ranks] = fitted * part * PER
    chosen = np.unique(np.geomspace(1, len(frequency), RANK_POINTS).round().astype(int))
    return [
        {
            "set": name,
            "role": role,
            "rank": int(rank),
            "per_million": float(frequency[rank - 1]),
            "law_per_million": float(law[rank - 1]),
        }
        for rank in chosen
    ]


def coverage_rows(compared: Compared) -> list[Row]:
    """`coverage`: part of each test set that each training set has shown, by frequency.

    The union of all training sets holds more tokens than any of them; it stands for what no set
    here could cover.
    """
    rows = []
    trained = {name: one.counts for name, one in compared.equal.items()}
    trained[EVERY] = sum(
        (one.counts for one in compared.training.values()),
        start=np.zeros(compared.vocab, dtype=np.uint64),
    )
    for name, counts in trained.items():
        for test, one in compared.tests.items():
            short = gaps(one.counts, counts)
            gap = float(one.counts[short].sum()) / one.tokens
            for found in coverage(one.counts, counts):
                rows.append(
                    {
                        "training": name,
                        "test": test,
                        "training_tokens": int(counts.sum()),
                        "threshold_per_million": found.threshold,
                        "token_share": found.tokens,
                        "type_share": found.types,
                        "gap_types": len(short),
                        "gap_token_share": gap,
                    }
                )
    return rows


def frequency_rows(compared: Compared) -> list[Row]:
    """`frequencies`: a test set's tokens by rank, and how frequent training sets have them.

    Ranks are grouped evenly in logarithm; frequencies are means over a group's tokens.
    """
    rows = []
    for test, one in compared.tests.items():
        order = np.argsort(-one.counts.astype(np.float64), kind="stable")
        order = order[one.counts[order] > 0]
        starts = np.unique(np.geomspace(1, len(order) + 1, RANK_GROUPS).round().astype(int)) - 1
        sizes = np.diff([*starts, len(order)])
        kept = sizes > 0
        wanted = np.add.reduceat(one.probabilities()[order], starts[kept]) * PER / sizes[kept]
        for name, trained in compared.equal.items():
            have = trained.probabilities()[order]
            mean = np.add.reduceat(have, starts[kept]) * PER / sizes[kept]
            for start, there, here in zip(starts[kept], wanted, mean, strict=True):
                rows.append(
                    {
                        "test": test,
                        "training": name,
                        "rank": int(start) + 1,
                        "test_per_million": float(there),
                        "training_per_million": float(here),
                    }
                )
    return rows


def gap_rows(compared: Compared, texts: TokenTexts) -> list[Row]:
    """`gaps`: tokens frequent in a test set and rare in a training set at equal size."""
    rows = []
    for name, trained in compared.equal.items():
        have = trained.probabilities() * PER
        for test, one in compared.tests.items():
            wanted = one.probabilities() * PER
            for token in gaps(one.counts, trained.counts)[:MOST_TOKENS]:
                rows.append(
                    {
                        "training": name,
                        "test": test,
                        "token": int(token),
                        "text": texts.of(int(token)),
                        "test_count": int(one.counts[token]),
                        "test_per_million": float(wanted[token]),
                        "training_per_million": float(have[token]),
                    }
                )
    return rows


def overuse_rows(compared: Compared, texts: TokenTexts) -> list[Row]:
    """`overuse`: tokens that a training set uses more than the baseline does, and the reverse."""
    rows = []
    baseline = compared.training[compared.baseline]
    for name, one in compared.training.items():
        if name == compared.baseline:
            continue
        for first, second in ((one, baseline), (baseline, one)):
            rows += _overused(first, second, texts)
    return rows


def _overused(first: Unigrams, second: Unigrams, texts: TokenTexts) -> list[Row]:
    found = overuse(first, second)
    here, there = first.probabilities() * PER, second.probabilities() * PER
    return [
        {
            "set": first.name,
            "against": second.name,
            "token": int(token),
            "text": texts.of(int(token)),
            "log_odds": float(found.log_odds[token]),
            "z": float(found.z[token]),
            "z_documents": float(found.z_documents[token]),
            "per_million": float(here[token]),
            "against_per_million": float(there[token]),
        }
        for token in found.most(MOST_TOKENS)
    ]
