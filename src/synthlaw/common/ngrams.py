"""Which n-grams of words a text shares with sets of documents: an index, and where it is hit.

The index keeps, sorted, the 64-bit hash of every n-gram and the number of its document: 12 bytes
an n-gram, and about 2 to 4 bytes more for a bitmap that answers most misses without a search. A
false hit of one n-gram has a probability of about (n-grams in the index) / 2^64.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.files import read_json, write_json
from synthlaw.common.wordhash import Hashes, Places, Words, ngrams_of, words_of

USUAL_N = 13
"""Words of an n-gram in GPT-3's and most later decontamination."""

_BITS_PER_KEY = 16
_ARRAYS = ("owners", "keys", "holders", "bitmap")


@dataclass(frozen=True)
class Overlap:
    """What a text shares with one set.

    words: words of the text inside shared n-grams. spans: their runs, [start, end) in characters
    of the text. documents: numbers of the set's documents that hold a shared n-gram.
    """

    set: str
    words: int
    spans: list[tuple[int, int]]
    documents: list[int]


class NgramIndex:
    """The n-grams of named sets of documents."""

    def __init__(self, sets: Mapping[str, Iterable[tuple[str, str]]], n: int = USUAL_N) -> None:
        """sets: by name, (identity, text) of every document. n: words of an n-gram."""
        self.n = n
        self.names = list(sets)
        self.identities: list[str] = []
        self.too_short: dict[str, int] = {}
        """Documents of each set with fewer than n words: nothing can be found of them."""
        owners: list[int] = []
        grams: list[Hashes] = []
        for number, (name, documents) in enumerate(sets.items()):
            self.too_short[name] = 0
            for identity, text in documents:
                found = np.unique(ngrams_of(words_of(text).hashes, n))
                self.too_short[name] += len(found) == 0
                self.identities.append(identity)
                owners.append(number)
                grams.append(found)
        self._owners: NDArray[np.int32] = np.array(owners, np.int32)
        self._sort(grams)

    def save(self, folder: Path) -> None:
        """Write the index to `folder`, so that several processes share it in memory."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, f"_{name}"))
        facts = {key: getattr(self, key) for key in ("n", "names", "identities", "too_short")}
        write_json(folder / "index.json", facts)

    @classmethod
    def load(cls, folder: Path) -> NgramIndex:
        """The index that `save` wrote, mapped from its files."""
        index = cls({}, 1)
        for key, value in read_json(folder / "index.json").items():
            setattr(index, key, value)
        for name in _ARRAYS:
            setattr(index, f"_{name}", np.load(folder / f"{name}.npy", mmap_mode="r"))
        index._shift = np.uint64(64 - 3 - (len(index._bitmap).bit_length() - 1))
        return index

    def _sort(self, grams: list[Hashes]) -> None:
        keys = np.concatenate(grams) if grams else np.zeros(0, np.uint64)
        holders = np.repeat(np.arange(len(grams), dtype=np.int32), [len(g) for g in grams])
        order = np.argsort(keys, kind="stable")
        self._keys: Hashes = keys[order]
        self._holders: NDArray[np.int32] = holders[order]
        bits = max(10, int(len(keys) * _BITS_PER_KEY).bit_length())
        self._shift = np.uint64(64 - bits)
        self._bitmap = np.zeros(1 << (bits - 3), np.uint8)
        slots = keys >> self._shift
        np.bitwise_or.at(self._bitmap, slots >> np.uint64(3), _bit(slots))

    def __len__(self) -> int:
        """Pairs of an n-gram and a document that holds it."""
        return len(self._keys)

    @property
    def documents(self) -> dict[str, int]:
        """How many documents each set has."""
        counts = np.bincount(self._owners, minlength=len(self.names))
        return {name: int(count) for name, count in zip(self.names, counts, strict=True)}

    @property
    def memory(self) -> int:
        """Bytes that the index takes."""
        return self._keys.nbytes + self._holders.nbytes + self._bitmap.nbytes

    def hits(self, grams: Hashes) -> NDArray[np.bool_]:
        """Which of `grams` the index holds: bool [len(grams)]."""
        slots = grams >> self._shift
        found: NDArray[np.bool_] = (self._bitmap[slots >> np.uint64(3)] & _bit(slots)) != 0
        likely = np.flatnonzero(found)
        if len(likely):
            wanted = grams[likely]
            place = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
            found[likely] = self._keys[place] == wanted
        return found

    def find(self, text: str | Words) -> list[Overlap]:
        """What `text` shares with each set that it shares something with, in the sets' order."""
        words = words_of(text) if isinstance(text, str) else text
        grams = ngrams_of(words.hashes, self.n)
        places = np.flatnonzero(self.hits(grams))
        if not len(places):
            return []
        first = np.searchsorted(self._keys, grams[places], "left")
        last = np.searchsorted(self._keys, grams[places], "right")
        counts = last - first
        steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        holders = self._holders[np.repeat(first, counts) + steps]
        positions = np.repeat(places, counts)
        owners = self._owners[holders]
        return [
            self._overlap(words, owner, positions[owners == owner], holders[owners == owner])
            for owner in np.unique(owners).tolist()
        ]

    def _overlap(
        self, words: Words, owner: int, positions: Places, holders: NDArray[np.int32]
    ) -> Overlap:
        edges = np.zeros(len(words) + 1, np.int64)
        starts = np.unique(positions)
        np.add.at(edges, starts, 1)
        np.add.at(edges, starts + self.n, -1)
        covered = np.zeros(len(words) + 2, bool)
        covered[1:-1] = np.cumsum(edges)[:-1] > 0
        turns = np.flatnonzero(covered[1:] != covered[:-1])
        spans = [
            (int(words.starts[a]), int(words.ends[b - 1]))
            for a, b in zip(turns[::2].tolist(), turns[1::2].tolist(), strict=True)
        ]
        numbers = np.unique(holders).tolist()
        return Overlap(self.names[owner], int(covered.sum()), spans, numbers)


def _bit(slots: Hashes) -> NDArray[np.uint8]:
    return np.left_shift(np.uint8(1), (slots & np.uint64(7)).astype(np.uint8))
