"""Exact deduplication of paragraphs across the corpus, as CCNet does it.

A paragraph is a line. Two are the same when their letters and digits are, with letters in lower
case and every digit read as 0; accents count. The first in the corpus' order is kept, all others
are cut out of their documents. A line without a letter or digit is never a duplicate.

Paragraphs are compared by 64-bit hashes: among n distinct ones a false match has a probability of
about n² / 2^65 (n = 10^9: 3%, for one paragraph).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.wordhash import ALONE, BASE, WORD, Hashes, Places, characters, mix, powers

_NEWLINE = 10
_BLOCK = 1 << 19


@cache
def _tables() -> tuple[Hashes, NDArray[np.bool_]]:
    """Codes of characters with all digits alike, and which characters count."""
    codes, kinds = characters()
    codes = codes.copy()
    for point in range(0x10000):
        if chr(point).isdigit():
            codes[point] = codes[ord("0")]
    return codes, (kinds == WORD) | (kinds == ALONE)


def paragraph_hashes(text: str) -> Hashes:
    """A hash for every line of `text` (split at line feeds), 0 where nothing in it counts.

    Memory beside the hashes is one block of the text, however long its lines are.
    """
    ended: list[Hashes] = []
    counted: list[Places] = []
    open_hash, open_count = 0, 0
    for start in range(0, len(text), _BLOCK):
        hashes, counts = _block_hashes(text[start : start + _BLOCK])
        # The first line goes on with the one that the block before left open.
        moved = int(hashes[0]) * pow(BASE, open_count, 1 << 64)
        hashes[0] = (open_hash + moved) % (1 << 64)
        counts[0] += open_count
        open_hash, open_count = int(hashes[-1]), int(counts[-1])
        ended.append(hashes[:-1])
        counted.append(counts[:-1])
    whole = np.concatenate([*ended, np.array([open_hash], np.uint64)])
    whole = mix(whole)
    whole[np.concatenate([*counted, np.array([open_count], np.int64)]) == 0] = 0
    return whole


def _block_hashes(text: str) -> tuple[Hashes, Places]:
    """The polynomial of every line of a block, not mixed, and how many characters it has."""
    codes, counts = _tables()
    points = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32).astype(np.intp)
    places = np.flatnonzero(counts[points])
    ends = np.searchsorted(places, np.flatnonzero(points == _NEWLINE))
    bounds = np.concatenate([[0], ends, [len(places)]])
    ups, downs = powers(len(places))
    sums = np.zeros(len(places) + 1, np.uint64)
    np.cumsum(codes[points[places]] * ups[: len(places)], out=sums[1:])
    starts, stops = bounds[:-1], bounds[1:]
    return (sums[stops] - sums[starts]) * downs[starts], stops - starts


def without(text: str, kept: NDArray[np.bool_]) -> str:
    """The lines of `text` for which `kept` is true; blank lines left at an edge are trimmed."""
    if kept.all():
        return text
    lines = text.split("\n")
    return "\n".join(line for line, keep in zip(lines, kept.tolist(), strict=True) if keep).strip()
