"""Counts of n-grams (2 to 5 tokens) of a sample, exact or hashed, by sorting.

An n-gram's key is 64 bits. Where vocab^n fits them the key is the n-gram itself (n up to 3 for a
vocabulary of 128,256, up to 5 for one of 4,096); beyond, it is a hash, and two n-grams share a key
with probability 2^-64: among 10^8 distinct ones, 3 in 10,000 runs meet one such pair.

Every chunk of windows is sorted and counted, and counted chunks are merged in pairs, like the
digits of a binary counter. Memory: 24 bytes per distinct n-gram of the sample, three times that
while the last two tables are merged, and 150 MB for the chunk at hand.

n-grams do not reach across windows or documents.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from synthlaw.common.errors import UsageError

LONGEST = 5
_NONE = np.uint64(0xFFFFFFFFFFFFFFFF)
"""The key of what is no n-gram of the text: it holds a BOS or an EOS."""


@dataclass(frozen=True)
class NGrams:
    """Counted n-grams of one sample.

    keys: uint64 [distinct], ascending. counts: how often each occurs. windows: in how many windows
    each occurs.
    """

    n: int
    keys: np.ndarray
    counts: np.ndarray
    windows: np.ndarray

    @property
    def total(self) -> int:
        """Occurrences."""
        return int(self.counts.sum())

    @property
    def distinct(self) -> int:
        """Different n-grams."""
        return len(self.keys)

    @property
    def distinct_ratio(self) -> float:
        """distinct-n: different over all. It falls with size: compare equal samples only."""
        return self.distinct / max(self.total, 1)

    @property
    def repeated_within(self) -> float:
        """Part of the occurrences that repeat one in the same window."""
        return 1 - int(self.windows.sum()) / self.total if self.total else 0.0

    @property
    def repeated_across(self) -> float:
        """Part of the n-grams of a window, each once, that another window has as well.

        The self-repetition of Salkar et al. (AACL 2022), with windows in place of documents.
        """
        pairs = int(self.windows.sum())
        return int(self.windows[self.windows > 1].sum()) / max(pairs, 1)


def count_ngrams(
    windows: Iterable[np.ndarray], n: int, vocab: int, special: Iterable[int] = ()
) -> NGrams:
    """Count the n-grams of windows [rows, length] of ids below `vocab`.

    special: ids that no n-gram may hold (BOS and EOS). Raises UsageError for n outside 1 to 5.
    """
    if not 1 <= n <= LONGEST:
        raise UsageError(f"n-grams: found n = {n}; expected 1 to {LONGEST}")
    barred = np.array(sorted(set(special)), dtype=np.int64)
    tables: list[_Table] = []
    for chunk in windows:
        tables.append(_counted(ngram_keys(chunk, n, vocab, barred)))
        while len(tables) > 1 and len(tables[-1][0]) * 2 > len(tables[-2][0]):
            tables.append(_merged(tables.pop(), tables.pop()))
    while len(tables) > 1:
        tables.append(_merged(tables.pop(), tables.pop()))
    keys, counts, seen = tables[0] if tables else _empty()
    return NGrams(n, keys, counts, seen)


_Table = tuple[np.ndarray, np.ndarray, np.ndarray]


def _empty() -> _Table:
    nothing = np.zeros(0, dtype=np.int64)
    return np.zeros(0, dtype=np.uint64), nothing, nothing


def ngram_keys(chunk: np.ndarray, n: int, vocab: int, barred: np.ndarray) -> np.ndarray:
    """Keys of the n-grams of every window: uint64 [rows, length - n + 1]."""
    length = chunk.shape[1] - n + 1
    if length < 1:
        return np.zeros((len(chunk), 0), dtype=np.uint64)
    exact = vocab**n < 1 << 64
    keys = np.zeros((len(chunk), length), dtype=np.uint64)
    with np.errstate(over="ignore"):  # keys wrap around at 64 bits
        for place in range(n):
            part = chunk[:, place : place + length].astype(np.uint64)
            if exact:
                keys = keys * np.uint64(vocab) + part
            else:
                keys = _mix(keys ^ _mix(part + np.uint64(1)))
    if len(barred):
        bad = np.isin(chunk, barred)
        for place in range(n):
            keys[bad[:, place : place + length]] = _NONE
    return keys


def _mix(value: np.ndarray) -> np.ndarray:
    """Finaliser of SplitMix64: a bijection in which every input bit reaches every output bit."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = value ^ (value >> np.uint64(31))
    return mixed


def _counted(keys: np.ndarray) -> _Table:
    """Distinct keys with their occurrences and the windows that they occur in."""
    rows = np.sort(keys, axis=1)
    first = np.ones(rows.shape, dtype=bool)
    first[:, 1:] = rows[:, 1:] != rows[:, :-1]
    every, counts = np.unique(rows, return_counts=True)
    _, seen = np.unique(rows[first], return_counts=True)
    real = every != _NONE
    return every[real], counts[real], seen[real]


def _merged(first: _Table, second: _Table) -> _Table:
    keys = np.union1d(first[0], second[0])
    counts, seen = (np.zeros(len(keys), dtype=np.int64) for _ in range(2))
    for table in (first, second):
        places = np.searchsorted(keys, table[0])
        counts[places] += table[1]
        seen[places] += table[2]
    return keys, counts, seen


@dataclass(frozen=True)
class Overlap:
    """One sample's n-grams against another's.

    covered: part of the test's occurrences whose n-gram the training sample has. js: Jensen-
    Shannon divergence of both distributions, in nats; it needs no smoothing.
    """

    covered: float
    js: float


def overlap(test: NGrams, training: NGrams) -> Overlap:
    """How much of `test` is in `training`; compare only samples of one size."""
    _, here, there = np.intersect1d(
        test.keys, training.keys, assume_unique=True, return_indices=True
    )
    p = test.counts / max(test.total, 1)
    q = training.counts / max(training.total, 1)
    covered = float(p[here].sum())
    # Where only one of them has mass it adds half of that mass times log 2.
    alone = (1 - covered + 1 - float(q[there].sum())) * np.log(2) / 2
    a, b = p[here], q[there]
    middle = (a + b) / 2
    shared = float(np.sum(a * np.log(a / middle)) + np.sum(b * np.log(b / middle))) / 2
    return Overlap(covered, float(alone + shared) if test.total and training.total else 0.0)
