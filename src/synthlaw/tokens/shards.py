"""One shard of a token set: a memory-mapped file of ids beside one of document offsets.

    00000-000.bin   ids of every document, BOS and EOS included; uint16 or uint32, little-endian
    00000-000.idx   uint64 [documents + 1], little-endian: where each document starts, counted from
                    the shard's first id; the last is the shard's length

A shard holds whole documents. Both files are written aside and renamed when they are whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthlaw.common.digest import file_digest
from synthlaw.common.files import atomic_path
from synthlaw.common.parts import Part

OFFSET_BYTES = 8


@dataclass(frozen=True)
class EncodedBlock:
    """Some documents as ids. ids: uint16 or uint32 [sum of lengths], each document between BOS
    and EOS. lengths: int64 [documents]. bytes: of the texts as UTF-8."""

    ids: np.ndarray
    lengths: np.ndarray
    bytes: int


@dataclass(frozen=True)
class ShardFacts:
    """What a manifest says of one shard. tokens: all ids, BOS and EOS among them."""

    name: str
    tokens: int
    documents: int
    bytes: int
    sha256_tokens: str
    sha256_offsets: str

    def files(self, folder: Path, dtype: str) -> list[tuple[Path, int, str]]:
        """Its two files with the size in bytes and the SHA-256 that each must have."""
        return [
            (
                folder / f"{self.name}.bin",
                self.tokens * np.dtype(dtype).itemsize,
                self.sha256_tokens,
            ),
            (folder / f"{self.name}.idx", (self.documents + 1) * OFFSET_BYTES, self.sha256_offsets),
        ]

    def parts(self, dtype: str) -> list[Part]:
        """Its two files as parts of a dataset."""
        return [
            Part(path.name, self.documents, size, self.bytes, digest, self.tokens)
            for path, size, digest in self.files(Path(), dtype)
        ]

    def problems(self, folder: Path, dtype: str, *, verify: bool) -> list[str]:
        """What is wrong with its files, each named; `verify` reads them whole."""
        found = []
        for path, size, digest in self.files(folder, dtype):
            if not path.exists():
                found.append(f"{path}: the shard's file is missing; expected {size:,} bytes")
            elif path.stat().st_size != size:
                found.append(
                    f"{path}: found {path.stat().st_size:,} bytes; its manifest promises {size:,}"
                )
            elif verify and (seen := file_digest(path)) != digest:
                found.append(
                    f"{path}: SHA-256 is {seen}, its manifest says {digest}; "
                    "the file was changed after it was written"
                )
        return found


def write_shard(folder: Path, name: str, blocks: Iterable[EncodedBlock], dtype: str) -> ShardFacts:
    """Write one shard of `blocks` as they come; memory is one block and the offsets.

    An older shard of that name stays until the new one is whole.
    """
    digest = hashlib.sha256()
    lengths: list[np.ndarray] = []
    size = 0
    with atomic_path(folder / f"{name}.bin") as aside:
        with aside.open("wb") as stream:
            for block in blocks:
                raw = block.ids.astype(np.dtype(dtype).newbyteorder("<"), copy=False).tobytes()
                stream.write(raw)
                digest.update(raw)
                lengths.append(block.lengths)
                size += block.bytes
        offsets = np.concatenate([np.zeros(1, np.int64), *lengths]).cumsum().astype("<u8")
        with atomic_path(folder / f"{name}.idx") as index:
            index.write_bytes(offsets.tobytes())
    return ShardFacts(
        name=name,
        tokens=int(offsets[-1]),
        documents=len(offsets) - 1,
        bytes=size,
        sha256_tokens=digest.hexdigest(),
        sha256_offsets=hashlib.sha256(offsets.tobytes()).hexdigest(),
    )
