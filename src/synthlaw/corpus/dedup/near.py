"""Near-duplicates of a whole corpus: documents that meet in a band, and the groups they form.

    band keys by part ─► buckets by key ─► similar pairs ─► connected groups, first of each kept

A band at a time; signatures stay in their files, and those of documents that meet are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.wordhash import Hashes, mix
from synthlaw.corpus.dedup.buckets import Numbers, Records, Scatter, bits_for, leading
from synthlaw.corpus.dedup.minhash import NUMBERS, similarity

_PAIRS_AT_ONCE = 1 << 14
_MOST_ROUNDS = 64


class Signatures:
    """Signatures of numbered documents, in one file [documents, 128] for each part."""

    def __init__(self, paths: Sequence[Path], starts: Numbers) -> None:
        """starts: number of each part's first document, and of all documents."""
        self.paths, self._starts = paths, starts

    def of(self, numbers: Numbers) -> NDArray[np.uint32]:
        """Signatures of documents: uint32 [n, 128]."""
        found = np.empty((len(numbers), NUMBERS), np.uint32)
        parts = np.searchsorted(self._starts, numbers, side="right") - 1
        for part in np.unique(parts).tolist():
            here = np.flatnonzero(parts == part)
            # Mapped and let go again: what is resident of it stays below one part's file.
            stored = np.load(self.paths[part], mmap_mode="r")
            found[here] = stored[numbers[here] - self._starts[part]]
        return found

    def alike(self, one: Numbers, other: Numbers, threshold: float) -> NDArray[np.bool_]:
        """Which pairs of documents reach the threshold."""
        found = np.zeros(len(one), bool)
        for start in range(0, len(one), _PAIRS_AT_ONCE):
            part = slice(start, start + _PAIRS_AT_ONCE)
            found[part] = similarity(self.of(one[part]), self.of(other[part])) >= threshold
        return found


def near_repeats(
    bands: Iterable[Callable[[], Iterable[tuple[Hashes, Numbers]]]],
    total: int,
    signatures: Signatures,
    threshold: float,
    folder: Path,
) -> Iterator[tuple[Numbers, Numbers]]:
    """Documents that are near-duplicates of an earlier one, as (later, first), in chunks.

    bands: for each band, by part, (keys, numbers) of the documents to compare, ascending. total:
    how many documents those are. Pairs that meet in a band and whose estimated similarity reaches
    `threshold` are joined; of every connected group the first is kept.
    """
    bits = bits_for(total)
    edges = Scatter(folder / "edges", 2)
    for band in bands:
        scatter = Scatter(folder / "band", 2)
        for keys, numbers in band():
            records = np.column_stack([keys, numbers.astype(np.uint64)])
            scatter.add(leading(keys, bits), records)
        for records in scatter.each():
            for one, other in _meetings(records, signatures, threshold):
                pairs = np.column_stack([one, other]).astype(np.uint64)
                edges.add(np.zeros(len(pairs), np.int64), pairs)
        scatter.remove()
    edges.flush()
    yield from components(edges, folder)


def _meetings(
    records: Records, signatures: Signatures, threshold: float
) -> Iterator[tuple[Numbers, Numbers]]:
    """Similar pairs (earlier, later) among records (key, number) with equal keys.

    Each group's members are compared with its first; those that are not like it form groups of
    their own with their first, and so on: k alike documents cost k comparisons, not k².
    """
    records = records[np.lexsort([records[:, 1], records[:, 0]])]
    group, members = records[:, 0], records[:, 1].astype(np.int64)
    for _ in range(_MOST_ROUNDS):
        if not len(members):
            return
        starts = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]]))
        sizes = np.diff(np.append(starts, len(group)))
        leader = np.repeat(members[starts], sizes)
        follows = members != leader
        leader, members, group = leader[follows], members[follows], group[follows]
        alike = signatures.alike(leader, members, threshold)
        yield leader[alike], members[alike]
        members, group = members[~alike], group[~alike]


def components(edges: Scatter, folder: Path) -> Iterator[tuple[Numbers, Numbers]]:
    """(later, first): every node of a graph that is not the first of its connected group, and that
    first, in chunks.

    edges: pairs of nodes. Alternates large stars and small stars (Kiveris and others 2014), each
    of which joins the neighbours of every node to the least of them, until nothing changes; then
    every group is one star around its first, each edge there once. Memory is one bucket.
    """
    bits = bits_for(2 * edges.records)
    mark = None
    while (found := _mark(edges)) != mark:
        mark = found
        for name, both in (("large", True), ("small", False)):
            around = Scatter(folder / f"{name}-around", 2)
            for pairs in edges_of(edges):
                low, high = pairs.min(axis=1), pairs.max(axis=1)
                for node, other in ((high, low), (low, high)) if both else ((high, low),):
                    around.add(leading(mix(node), bits), np.column_stack([node, other]))
            edges.remove()
            edges = Scatter(folder / f"{name}-edges", 2)
            for pairs in around.each():
                star = _stars(pairs, large=both)
                edges.add(leading(mix(star[:, 0]), bits), star)
            around.remove()
    for pairs in edges.each():
        yield pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)
    edges.remove()


def edges_of(edges: Scatter) -> Iterator[Records]:
    """The pairs of every bucket, a bounded number at a time."""
    edges.flush()
    for path in sorted(edges.folder.iterdir()):
        with path.open("rb") as stream:
            while len(pairs := np.fromfile(stream, np.uint64, 1 << 19)):
                yield pairs.reshape(-1, 2)


def _stars(pairs: Records, *, large: bool) -> Records:
    """The edges (later, earlier) of the stars around the nodes in the first column of `pairs`."""
    pairs = np.unique(pairs, axis=0)
    node, other = pairs[:, 0], pairs[:, 1]
    starts = np.flatnonzero(np.concatenate([[True], node[1:] != node[:-1]]))
    sizes = np.diff(np.append(starts, len(node)))
    least = np.repeat(np.minimum(node[starts], other[starts]), sizes)
    if large:  # the later neighbours, to the least of all
        later = other > node
        return np.column_stack([other[later], least[later]])
    rest = other != least  # the earlier neighbours and the node itself, to the least of them
    own = np.column_stack([node[starts], other[starts]])
    return np.concatenate([own, np.column_stack([other[rest], least[rest]])])


def _mark(edges: Scatter) -> tuple[int, int]:
    """What tells two sets of edges apart: their number, and a sum of hashes, 2^-64 to be fooled."""
    count, total = 0, 0
    for pairs in edges_of(edges):
        ordered = np.unique(np.sort(pairs, axis=1), axis=0)
        count += len(ordered)
        total += int(mix(mix(ordered[:, 0]) + ordered[:, 1]).sum(dtype=np.uint64))
    return count, total % (1 << 64)
