"""A seeded permutation of any size, evaluated where it is asked for, in O(1) memory."""

from __future__ import annotations

import math

import numpy as np

from synthlaw.common.seeds import derive_seed

FEISTEL_ROUNDS = 6


class Permutation:
    """A seeded permutation of range(size).

    A balanced Feistel network over the smallest even number of bits that holds `size`, walked
    until the value falls inside the range (Black and Rogaway 2002, cycle walking): at most four
    walks on average.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        half = max(1, math.ceil(max(size - 1, 1).bit_length() / 2))
        self._half = np.uint64(half)
        self._mask = np.uint64((1 << half) - 1)
        self._keys = [
            np.uint64(derive_seed(seed, "round", number)) for number in range(FEISTEL_ROUNDS)
        ]

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """Where `places` (integers, 0 ≤ place < size) go: int64 of the same shape [n]."""
        values = self._network(places.astype(np.uint64))
        outside = np.flatnonzero(values >= self.size)
        while outside.size:
            values[outside] = self._network(values[outside])
            outside = outside[values[outside] >= self.size]
        return values.astype(np.int64)

    def _network(self, values: np.ndarray) -> np.ndarray:
        left, right = values >> self._half, values & self._mask
        for key in self._keys:
            left, right = right, left ^ (_mix(right ^ key) & self._mask)
        whole: np.ndarray = (left << self._half) | right
        return whole


def _mix(values: np.ndarray) -> np.ndarray:
    """Finaliser of SplitMix64: every input bit reaches every output bit."""
    mixed: np.ndarray = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed
