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

from synthlaw.common.wordhash import ALONE, WORD, Hashes, characters, mix, powers

_NEWLINE = 10


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
    """A hash for every line of `text` (split at line feeds), 0 where nothing in it counts."""
    codes, counts = _tables()
    points = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32).astype(np.intp)
    places = np.flatnonzero(counts[points])
    ends = np.searchsorted(places, np.flatnonzero(points == _NEWLINE))
    bounds = np.concatenate([[0], ends, [len(places)]])
    ups, downs = powers(len(places))
    sums = np.zeros(len(places) + 1, np.uint64)
    np.cumsum(codes[points[places]] * ups[: len(places)], out=sums[1:])
    starts, stops = bounds[:-1], bounds[1:]
    hashes = mix((sums[stops] - sums[starts]) * downs[starts])
    hashes[starts == stops] = 0
    return hashes


def without(text: str, kept: NDArray[np.bool_]) -> str:
    """The lines of `text` for which `kept` is true; blank lines left at an edge are trimmed."""
    if kept.all():
        return text
    lines = text.split("\n")
    return "\n".join(line for line, keep in zip(lines, kept.tolist(), strict=True) if keep).strip()
