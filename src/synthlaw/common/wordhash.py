"""Words of a text as 64-bit hashes, a whole text at a time.

A word is a run of letters, marks and numbers, lower-cased; apostrophes and invisible format
characters are left out ("Don't" is "dont"), everything else separates. An ideograph or kana is a
word of its own, since nothing separates those. N-grams of words are what decontamination and
near-duplicate search compare.

The hash of a word is a polynomial in its characters' random 64-bit codes, modulo 2^64, mixed.
Prefix sums give every word of a text at once, in numpy, faster than a regular expression finds the
words. It resists chance, not an adversary: strings can be built that collide.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]

SEPARATOR, WORD, DROPPED, ALONE = range(4)
"""Classes of characters: between words, in a word, left out, a word of its own."""

_APOSTROPHES = "'’‘ʼ`´＇"
_ALONE_RANGES = ((0x3041, 0x30FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF))
_LAST_LETTER = 0x323B0
_CODE_POINTS = 0x110000
BASE = 0x9E3779B97F4A7C15
"""What the polynomials are in; odd, so it has an inverse modulo 2^64."""
_BLOCK = 1 << 19


@dataclass(frozen=True)
class Words:
    """Words of one text: hashes, and where each begins and ends (character offsets), all [n]."""

    hashes: Hashes
    starts: Places
    ends: Places

    def __len__(self) -> int:
        return len(self.hashes)


def mix(values: Hashes) -> Hashes:
    """SplitMix64's finalizer: every bit of the result depends on every bit of a value."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@cache
def characters() -> tuple[Hashes, NDArray[np.uint8]]:
    """By code point: the random code of its lower case, and its class."""
    lower = np.zeros(_CODE_POINTS, np.uint64)
    kinds = np.full(_CODE_POINTS, SEPARATOR, np.uint8)
    for point in range(_LAST_LETTER):
        character = chr(point)
        category = unicodedata.category(character)
        if category[0] in "LNM":
            kinds[point] = WORD
            lower[point] = ord(character.lower()[0])
        elif category == "Cf" or character in _APOSTROPHES:
            kinds[point] = DROPPED
    for first, last in _ALONE_RANGES:
        inside = kinds[first : last + 1]
        inside[inside == WORD] = ALONE
    codes = np.zeros(_CODE_POINTS, np.uint64)
    letters = np.flatnonzero(lower)
    codes[letters] = mix(lower[letters] * np.uint64(BASE))
    return codes, kinds


_power_tables: list[Hashes] = []


def powers(count: int) -> tuple[Hashes, Hashes]:
    """Powers 0 … count of the base and of its inverse; the tables grow as they are asked for."""
    if not _power_tables or len(_power_tables[0]) <= count:
        size = max(1 << 16, 1 << count.bit_length()) + 1
        _power_tables.clear()
        for base in (BASE, pow(BASE, -1, 1 << 64)):
            factors = np.full(size, base, np.uint64)
            factors[0] = 1
            _power_tables.append(np.multiply.accumulate(factors))
    return _power_tables[0], _power_tables[1]


def words_of(text: str) -> Words:
    """The words of `text` in order."""
    parts = [_block_words(text[a:b], a) for a, b in _blocks(text)]
    if len(parts) == 1:
        return parts[0]
    return Words(
        np.concatenate([part.hashes for part in parts] or [np.zeros(0, np.uint64)]),
        np.concatenate([part.starts for part in parts] or [np.zeros(0, np.int64)]),
        np.concatenate([part.ends for part in parts] or [np.zeros(0, np.int64)]),
    )


def _blocks(text: str) -> list[tuple[int, int]]:
    """Bounds of pieces no longer than a block, cut after a space or line end where there is one."""
    bounds, start = [], 0
    while start < len(text):
        end = start + _BLOCK
        if end < len(text):
            cut = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
            end = cut + 1 if cut >= start else end
        bounds.append((start, min(end, len(text))))
        start = end
    return bounds


def _block_words(text: str, offset: int) -> Words:
    codes, kinds = characters()
    points = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32).astype(np.intp)
    kind = kinds[points]
    places = None
    if (kind == DROPPED).any():
        places = np.flatnonzero(kind != DROPPED)
        points, kind = points[places], kind[places]
    firsts, lasts = _bounds(kind)
    ups, downs = powers(len(points))
    sums = np.zeros(len(points) + 1, np.uint64)
    np.cumsum(codes[points] * ups[: len(points)], out=sums[1:])
    hashes = mix((sums[lasts] - sums[firsts]) * downs[firsts])
    if places is None:
        return Words(hashes, firsts + offset, lasts + offset)
    if not len(hashes):
        return Words(hashes, firsts, lasts)
    return Words(hashes, places[firsts] + offset, places[lasts - 1] + 1 + offset)


def _bounds(kind: NDArray[np.uint8]) -> tuple[Places, Places]:
    """Where words begin and end in a row of character classes that has no dropped one."""
    inside = np.zeros(len(kind) + 2, bool)
    inside[1:-1] = kind != SEPARATOR
    alone = kind == ALONE
    if not alone.any():
        edges = np.flatnonzero(inside[1:] != inside[:-1])
        return edges[::2], edges[1::2]
    single = np.zeros(len(kind) + 2, bool)
    single[1:-1] = alone
    joint = inside[1:] & inside[:-1] & (single[1:] | single[:-1])
    begins = inside[1:] & ~inside[:-1] | joint
    stops = inside[:-1] & ~inside[1:] | joint
    return np.flatnonzero(begins), np.flatnonzero(stops)


def ngrams_of(hashes: Hashes, n: int) -> Hashes:
    """Hashes of the n-grams of a sequence of word hashes: [max(0, words - n + 1)]."""
    count = len(hashes) - n + 1
    if count <= 0:
        return np.zeros(0, np.uint64)
    total = hashes[n - 1 :].copy()
    for place in range(n - 2, -1, -1):
        total = total * np.uint64(BASE) + hashes[place : place + count]
    return mix(total)
