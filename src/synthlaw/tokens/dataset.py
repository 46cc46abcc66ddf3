"""Token sets: one memory-mapped file of ids per source, with document offsets and a manifest.

    tokens.bin     every document as BOS, its tokens, EOS; uint16 below 65,536 entries, else uint32
    offsets.npy    uint64, documents + 1: where each document starts
    dataset.json   counts, dtype, tokenizer identity, SHA-256 of both files

The manifest is written last: a set without it is unfinished and is not opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import UsageError
from synthlaw.common.files import atomic_path, read_json, write_json
from synthlaw.tokens.tokenizer import Tokenizer

MANIFEST = "dataset.json"
BATCH_DOCUMENTS = 256


@dataclass(frozen=True)
class Manifest:
    """What `dataset.json` holds. tokens counts every id, BOS and EOS among them."""

    tokens: int
    documents: int
    bytes: int
    dtype: str
    vocab: int
    tokenizer: str
    sha256_tokens: str
    sha256_offsets: str


def write_dataset(folder: Path, texts: Iterable[str], tokenizer: Tokenizer) -> Manifest:
    """Tokenize `texts` into `folder`; memory is one batch of documents. Returns the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    dtype = np.uint16 if tokenizer.vocab <= 1 << 16 else np.uint32
    offsets, size = [0], 0
    with atomic_path(folder / "tokens.bin") as aside, aside.open("wb") as stream:
        for batch in _batches(texts):
            size += sum(len(text.encode()) for text in batch)
            for ids in tokenizer.encode(batch):
                row = np.concatenate(([tokenizer.bos], ids, [tokenizer.eos])).astype(dtype)
                stream.write(row.tobytes())
                offsets.append(offsets[-1] + len(row))
        stream.flush()
        # From here on an older set of this folder is no longer one.
        (folder / MANIFEST).unlink(missing_ok=True)
    with atomic_path(folder / "offsets.npy") as aside:
        np.save(aside, np.array(offsets, dtype=np.uint64))
    manifest = Manifest(
        tokens=offsets[-1],
        documents=len(offsets) - 1,
        bytes=size,
        dtype=np.dtype(dtype).name,
        vocab=tokenizer.vocab,
        tokenizer=tokenizer.digest,
        sha256_tokens=file_digest(folder / "tokens.bin"),
        sha256_offsets=file_digest(folder / "offsets.npy"),
    )
    write_json(folder / MANIFEST, asdict(manifest))
    return manifest


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while batch := list(islice(iterator, BATCH_DOCUMENTS)):
        yield batch


class TokenDataset:
    """A token set opened for reading; `tokens` is a read-only memory map of ids."""

    def __init__(self, folder: Path) -> None:
        place = folder / MANIFEST
        try:
            self.manifest = Manifest(**read_json(place))
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(f"{place}: not a finished token set ({error})") from error
        self.folder = folder
        path = folder / "tokens.bin"
        expected = self.manifest.tokens * np.dtype(self.manifest.dtype).itemsize
        found = path.stat().st_size if path.exists() else 0
        if found != expected:
            raise UsageError(f"{path}: found {found} bytes; its manifest promises {expected}")
        self.tokens: np.ndarray = (
            np.memmap(path, dtype=self.manifest.dtype, mode="r")
            if expected
            else np.zeros(0, dtype=self.manifest.dtype)
        )
        self.offsets: np.ndarray = np.load(folder / "offsets.npy", allow_pickle=False)

    @property
    def identity(self) -> str:
        """Digest of the tokens themselves."""
        return self.manifest.sha256_tokens

    def document(self, index: int) -> np.ndarray:
        """Ids of one document, BOS and EOS included."""
        start, end = int(self.offsets[index]), int(self.offsets[index + 1])
        return np.asarray(self.tokens[start:end])

    def verify(self) -> None:
        """Compare both files with their digests. Raises UsageError naming the file that differs."""
        for name, expected in (
            ("tokens.bin", self.manifest.sha256_tokens),
            ("offsets.npy", self.manifest.sha256_offsets),
        ):
            found = file_digest(self.folder / name)
            if found != expected:
                raise UsageError(
                    f"{self.folder / name}: SHA-256 is {found}, its manifest says {expected}; "
                    "the file was changed after it was written"
                )
