"""Which items of a corpus repeat earlier ones, by equal hashes; and the n-th smallest of numbers.

Items are numbered in the corpus' order over all parts; of equal ones the first is kept. Hashes lie
in files by part, are brought together by their leading bits, and compared bucket by bucket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthlaw.common.wordhash import Hashes
from synthlaw.corpus.dedup.buckets import Numbers, Records, Scatter, bits_for, leading


@dataclass(frozen=True)
class Repeats:
    """Items that repeat earlier ones: `later` their numbers, `first` whom they repeat.

    rank: how many equal items stand before each.
    """

    later: Numbers
    first: Numbers
    rank: Numbers


def repeats(parts: Iterable[Hashes], total: int, folder: Path) -> Iterator[Repeats]:
    """Repeated items among `total` hashes of shape [n] or [n, 2] (128 bits), bucket by bucket.

    A hash of 0 (in its first column) stands for nothing and repeats nothing. folder: for files in
    between, which are removed.
    """
    bits = bits_for(total)
    scatter: Scatter | None = None
    start = 0
    for part in parts:
        table = part[:, None] if part.ndim == 1 else part
        inside = np.flatnonzero(table[:, 0])
        numbers = (inside + start).astype(np.uint64)
        scatter = scatter or Scatter(folder, table.shape[1] + 1)
        scatter.add(leading(table[inside, 0], bits), np.column_stack([table[inside], numbers]))
        start += len(part)
    if scatter is not None:
        for records in scatter.each():
            yield _repeats_in(records)
        scatter.remove()


def _repeats_in(records: Records) -> Repeats:
    """Repeated keys among records (key…, number)."""
    records = records[np.lexsort([records[:, -1], *records[:, :-1].T[::-1]])]
    keys, numbers = records[:, :-1], records[:, -1].astype(np.int64)
    same = (keys[1:] == keys[:-1]).all(axis=1)
    starts = np.flatnonzero(np.concatenate([[True], ~same]))
    sizes = np.diff(np.append(starts, len(keys)))
    rank = np.arange(len(keys)) - np.repeat(starts, sizes)
    later = rank > 0
    return Repeats(numbers[later], np.repeat(numbers[starts], sizes)[later], rank[later])


def nth_smallest(parts: Callable[[], Iterable[Hashes]], n: int) -> int | None:
    """The n-th smallest, from 1 on, of the numbers in all parts; the largest when they are fewer.

    They are read four times, 16 bits decided at each. None when there is no number.
    """
    prefix, left = 0, n
    for shift in (48, 32, 16, 0):
        counts = np.zeros(1 << 16, np.int64)
        for part in parts():
            numbers = part.astype(np.uint64)
            if shift < 48:
                numbers = numbers[numbers >> np.uint64(shift + 16) == np.uint64(prefix)]
            digits = (numbers >> np.uint64(shift)) & np.uint64(0xFFFF)
            counts += np.bincount(digits.astype(np.int64), minlength=1 << 16)
        if not counts.any():
            return None
        left = min(left, int(counts.sum()))
        sums = np.cumsum(counts)
        digit = int(np.searchsorted(sums, left))
        left -= int(sums[digit] - counts[digit])
        prefix = prefix << 16 | digit
    return prefix
