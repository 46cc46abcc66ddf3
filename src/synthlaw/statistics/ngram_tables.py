"""The tables of n-grams: every set at equal size, and every test set against every training set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthlaw.common.progress import meter
from synthlaw.statistics.ngrams import LONGEST, NGrams, count_ngrams, overlap
from synthlaw.statistics.sampling import WINDOW, sample_windows
from synthlaw.statistics.support import support
from synthlaw.statistics.unigrams import special_ids
from synthlaw.tokens.dataset import TokenDataset

Row = dict[str, Any]


def ngram_rows(
    training: Mapping[str, TokenDataset],
    tests: Mapping[str, TokenDataset],
    *,
    longest: int = LONGEST,
    tokens: int | None = None,
) -> tuple[list[Row], list[Row]]:
    """`ngrams` and `ngram_overlap`, for n from 1 to `longest`.

    Training sets are sampled at one size (`tokens`; default that of the smallest), test sets at
    the size of the smallest test set. A set of less than one window is left out.
    """
    size = tokens or min((d.manifest.tokens for d in training.values()), default=0)
    test_size = min((d.manifest.tokens for d in tests.values()), default=0)
    rows: list[Row] = []
    overlaps: list[Row] = []
    for n in range(1, longest + 1):
        with meter(f"{n}-grams", len(training) + len(tests), "set") as bar:
            trained = {}
            for name, data in training.items():
                trained[name] = _count(data, n, size)
                bar.advance()
            for name, grams in trained.items():
                rows.append(_row(name, "training", grams))
            for name, data in tests.items():
                grams = _count(data, n, test_size)
                rows.append(_row(name, "test", grams))
                for other, there in trained.items():
                    found = overlap(grams, there)
                    facts: Row = {"training": other, "test": name, "n": n}
                    overlaps.append(facts | {"covered": found.covered, "js": found.js})
                bar.advance()
    return rows, overlaps


def _count(data: TokenDataset, n: int, size: int) -> NGrams:
    windows = sample_windows(data, size, window=min(WINDOW, max(size, 1)))
    return count_ngrams(windows, n, data.manifest.vocab, special_ids(data))


def _row(name: str, role: str, grams: NGrams) -> Row:
    facts = support(grams.counts)
    return {
        "set": name,
        "role": role,
        "n": grams.n,
        "ngrams": grams.total,
        "distinct": grams.distinct,
        "distinct_ratio": grams.distinct_ratio,
        "once": facts.once,
        "unseen_mass": facts.unseen_mass,
        "repeated_within": grams.repeated_within,
        "repeated_across": grams.repeated_across,
    }
