"""Megatron's indexed dataset: `mixture.bin` and `mixture.idx`, a sequence for every window.

Layout as Megatron-Core's `IndexedDataset` reads it (megatron/core/datasets/indexed_dataset.py, its
version 1): the index is the magic, version, number of the dtype, counts, then lengths (int32),
places in bytes (int64) and borders of documents (int64) of all sequences, little-endian. Every
window of context + 1 ids is one sequence and one document: sequence g is window g.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from synthlaw.common.errors import SynthlawError
from synthlaw.tokens.mixture import Mixture

FILES = ("mixture.bin", "mixture.idx")
MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
DTYPES = {"int32": 4, "uint16": 8}
"""Megatron's numbers of the dtypes that ids take."""

LARGEST_SHORT = 65_500
"""Megatron takes uint16 below this vocabulary (`DType.optimal_dtype`)."""


class Writer:
    """Windows appended to the data file; the index is written when all are there."""

    def __init__(self, folder: Path, mixture: Mixture) -> None:
        self._folder, self._width = folder, mixture.context + 1
        self.dtype = np.dtype("uint16" if mixture.vocab < LARGEST_SHORT else "int32")
        self._data: BinaryIO = (folder / FILES[0]).open("wb")
        self._windows = 0

    def add(self, sources: np.ndarray, windows: np.ndarray) -> None:
        """Append windows, int64 [n, context + 1]."""
        self._data.write(windows.astype(self.dtype.newbyteorder("<")).tobytes())
        self._windows += len(windows)

    def close(self) -> None:
        """Write the index."""
        self._data.close()
        count, step = self._windows, self._width * self.dtype.itemsize
        if (self._folder / FILES[0]).stat().st_size != count * step:
            raise SynthlawError(f"{self._folder / FILES[0]}: was not written whole")
        with (self._folder / FILES[1]).open("wb") as index:
            index.write(MAGIC)
            index.write(struct.pack("<QB", VERSION, DTYPES[self.dtype.name]))
            index.write(struct.pack("<QQ", count, count + 1))
            index.write(np.full(count, self._width, "<i4").tobytes())
            index.write((np.arange(count, dtype="<i8") * step).tobytes())
            index.write(np.arange(count + 1, dtype="<i8").tobytes())
