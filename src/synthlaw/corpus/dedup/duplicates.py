"""Which items of a corpus repeat earlier ones: by equal hashes, and by similar signatures.

Items are numbered in the corpus' order over all parts; of equal ones the first is kept. Memory
does not grow with the corpus where hashes are compared: they lie in files, and are taken bucket by
bucket of their leading bits. Near-duplicates take, for the whole corpus at once, 8 bytes a document
for a band's keys, 8 for their order and 8 for the groups; signatures stay in a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.wordhash import Hashes
from synthlaw.corpus.dedup.minhash import NUMBERS, band_keys, bands, similarity

Numbers = NDArray[np.int64]

AT_ONCE = 1 << 24
"""Hashes that are sorted at once: about 40 bytes each, 0.7 GB."""

_PAIRS_AT_ONCE = 1 << 14
_MOST_ROUNDS = 64


@dataclass(frozen=True)
class Repeats:
    """Items that repeat earlier ones: `later` their numbers, `first` whom they repeat.

    rank: how many equal items stand before each.
    """

    later: Numbers
    first: Numbers
    rank: Numbers


def repeats(parts: Sequence[Hashes]) -> Iterator[Repeats]:
    """Repeated items among hashes of shape [n] or [n, 2] (128 bits), bucket by bucket.

    A hash of 0 (in its first column) stands for nothing and repeats nothing.
    """
    total = sum(len(part) for part in parts)
    bits = max(0, (total // AT_ONCE).bit_length())
    for bucket in range(1 << bits):
        keys, numbers = _bucket(parts, bucket, bits)
        if not len(keys):
            continue
        order = np.lexsort([numbers, *keys.T[::-1]])
        keys, numbers = keys[order], numbers[order]
        same = (keys[1:] == keys[:-1]).all(axis=1)
        starts = np.flatnonzero(np.concatenate([[True], ~same]))
        sizes = np.diff(np.append(starts, len(keys)))
        rank = np.arange(len(keys)) - np.repeat(starts, sizes)
        later = rank > 0
        yield Repeats(numbers[later], np.repeat(numbers[starts], sizes)[later], rank[later])


def _bucket(parts: Sequence[Hashes], bucket: int, bits: int) -> tuple[Hashes, Numbers]:
    keys, numbers = [], []
    start = 0
    for part in parts:
        table = np.asarray(part)
        table = table[:, None] if table.ndim == 1 else table
        first = table[:, 0]
        chosen = first != 0
        if bits:
            chosen &= (first >> np.uint64(64 - bits)) == bucket
        inside = np.flatnonzero(chosen)
        if len(inside):
            keys.append(table[inside])
            numbers.append(inside + start)
        start += len(part)
    if not keys:
        return np.zeros((0, 1), np.uint64), np.zeros(0, np.int64)
    return np.concatenate(keys), np.concatenate(numbers)


def kept_paragraphs(parts: Sequence[Hashes], path: Path) -> None:
    """Write which paragraphs are kept: bool [all paragraphs], as a .npy file at `path`."""
    total = sum(len(part) for part in parts)
    kept = np.lib.format.open_memmap(path, "w+", np.bool_, (total,))
    kept[:] = True
    for found in repeats(parts):
        kept[found.later] = False
    kept.flush()


def gather_signatures(parts: Sequence[NDArray[np.uint32]], path: Path) -> NDArray[np.uint32]:
    """All signatures in one file at `path`, mapped: uint32 [documents, 128]."""
    total = sum(len(part) for part in parts)
    if not total:
        return np.zeros((0, NUMBERS), np.uint32)
    gathered = np.lib.format.open_memmap(path, "w+", np.uint32, (total, NUMBERS))
    start = 0
    for part in parts:
        gathered[start : start + len(part)] = part
        start += len(part)
    gathered.flush()
    return gathered


def near_repeats(
    signatures: NDArray[np.uint32], numbers: Numbers, threshold: float
) -> tuple[Numbers, Numbers]:
    """Documents among `numbers` (ascending) that are near-duplicates of an earlier one.

    Pairs that meet in a band and whose estimated similarity reaches `threshold` are joined; of
    every connected group the first is kept. Returns (later, first).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count, rows = bands(threshold)
    edges: list[tuple[Numbers, Numbers]] = []
    for band in range(count):
        keys = np.concatenate(
            [
                band_keys(np.asarray(signatures[numbers[i : i + (1 << 18)]]), band, rows)
                for i in range(0, len(numbers), 1 << 18)
            ]
            or [np.zeros(0, np.uint64)]
        )
        edges.extend(_meetings(keys, signatures, numbers, threshold))
    if not edges:
        nothing = np.zeros(0, np.int64)
        return nothing, nothing
    one, other = (np.concatenate(side) for side in zip(*edges, strict=True))
    graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(len(numbers),) * 2)
    groups, label = connected_components(graph, directed=False)
    first = np.full(groups, len(numbers), np.int64)
    np.minimum.at(first, label, np.arange(len(numbers)))
    mine = first[label]
    later = np.flatnonzero(mine < np.arange(len(numbers)))
    return numbers[later], numbers[mine[later]]


def _meetings(
    keys: Hashes, signatures: NDArray[np.uint32], numbers: Numbers, threshold: float
) -> Iterator[tuple[Numbers, Numbers]]:
    """Similar pairs (places in `numbers`) among documents with equal keys.

    Each group's members are compared with its first; those that are not like it form groups of
    their own with their first, and so on: k alike documents cost k comparisons, not k².
    """
    members = np.argsort(keys, kind="stable")
    group = keys[members]
    for _ in range(_MOST_ROUNDS):
        starts = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]]))
        sizes = np.diff(np.append(starts, len(group)))
        leader = np.repeat(members[starts], sizes)
        follows = members != leader
        if not follows.any():
            return
        leader, members, group = leader[follows], members[follows], group[follows]
        alike = _alike(signatures, numbers[leader], numbers[members], threshold)
        yield leader[alike], members[alike]
        members, group = members[~alike], group[~alike]
        if not len(members):
            return


def _alike(
    signatures: NDArray[np.uint32], one: Numbers, other: Numbers, threshold: float
) -> NDArray[np.bool_]:
    found = np.zeros(len(one), bool)
    for start in range(0, len(one), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        found[part] = similarity(signatures[one[part]], signatures[other[part]]) >= threshold
    return found
