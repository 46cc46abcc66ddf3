"""Near-duplicates: MinHash signatures of word 5-grams, and the bands that bring them together.

The share of equal numbers in two signatures estimates the Jaccard similarity of the texts'
5-grams, with a standard error of at most 1/(2·√128) = 0.044. Bands of rows are chosen so that a
pair at the threshold meets in at least one band with a probability of 99%; pairs that meet are
kept when their estimate reaches the threshold.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.wordhash import Hashes, mix, ngrams_of

SHINGLE_WORDS = 5
NUMBERS = 128
"""Numbers of a signature: 512 bytes a document."""

RECALL = 0.99
_BLOCK = 1 << 13

Signature = NDArray[np.uint32]


@cache
def _multipliers() -> NDArray[np.uint32]:
    """128 odd multipliers, the same in every process and version."""
    numbers = mix(np.arange(1, NUMBERS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return (numbers >> np.uint64(32)).astype(np.uint32) | np.uint32(1)


def signature(words: Hashes) -> Signature:
    """MinHash of a text by its words' hashes: uint32 [128].

    A text of fewer than five words is one shingle, itself.
    """
    shingles = ngrams_of(words, min(SHINGLE_WORDS, max(1, len(words))))
    found = np.full(NUMBERS, np.iinfo(np.uint32).max, np.uint32)
    short = (shingles >> np.uint64(32)).astype(np.uint32)
    for start in range(0, len(short), _BLOCK):
        block = np.multiply.outer(_multipliers(), short[start : start + _BLOCK])
        np.minimum(found, block.min(axis=1), out=found)
    return found


def similarity(one: Signature, other: Signature) -> NDArray[np.float64]:
    """Estimated Jaccard similarity of signatures [..., 128]: [...]."""
    return np.asarray((one == other).mean(axis=-1))


def bands(threshold: float) -> tuple[int, int]:
    """(bands, rows): the most rows for which a pair at `threshold` meets with 99% probability."""
    for rows in range(NUMBERS, 1, -1):
        count = NUMBERS // rows
        if 1 - (1 - threshold**rows) ** count >= RECALL:
            return count, rows
    return NUMBERS, 1


def band_keys(signatures: NDArray[np.uint32], band: int, rows: int) -> Hashes:
    """One key for every document in `band`: equal rows give equal keys. uint64 [documents]."""
    keys = np.full(len(signatures), np.uint64(band + 1), np.uint64)
    for row in range(band * rows, (band + 1) * rows):
        keys = mix(keys + signatures[:, row].astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15))
    return keys
