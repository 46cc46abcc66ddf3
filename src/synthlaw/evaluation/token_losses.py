"""Losses of every token of a document set, kept on disk and read through a memory map.

    losses.npy     float32 [tokens]         nats; NaN for a token that was context only
    tokens.npy     uint16 or uint32 [tokens] ids, without BOS and EOS, documents end to end
    offsets.npy    uint64 [documents + 1]   where each document starts
    losses.json    how they came to be: model, tokenizer, protocol; digests of the three files

The folder takes its name after everything in it is on disk. This module needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np

from synthlaw.common.digest import digest_of, file_digest
from synthlaw.common.errors import UsageError
from synthlaw.common.files import atomic_folder, read_json, write_json

TOKEN_LOSSES_VERSION = 1
MANIFEST = "losses.json"
FILES = ("losses", "tokens", "offsets")

KeepLosses = Callable[[int, int, np.ndarray], None]
"""Takes (document, index of its first token, losses): the `on_losses` of `score_documents`."""


@dataclass(frozen=True)
class LossSource:
    """Where losses come from. All of it is part of their identity.

    domain: name of the document set. model: digest of the weights. tokenizer: digest of its file.
    vocab: ids are below it. window, stride, bos: see `windows.Windowing`. dtype: of the products,
    'fp32' or 'bf16'.
    """

    domain: str
    model: str
    tokenizer: str
    vocab: int
    window: int
    stride: int
    bos: int | None
    dtype: str


@dataclass(frozen=True)
class LossManifest:
    """What `losses.json` holds beside the source. scored: tokens that have a loss."""

    version: int
    source: LossSource
    documents: int
    tokens: int
    scored: int
    sha256: dict[str, str]


@contextmanager
def keeping_losses(
    folder: Path, documents: Sequence[np.ndarray], source: LossSource
) -> Iterator[KeepLosses]:
    """Give the function to pass as `on_losses`; the folder appears when the block has ended well.

    documents: token ids of each document, without BOS and EOS, as they are scored. Losses may
    come in any order; memory does not grow with their number. Raises OSError when the disk
    refuses: nothing appears under the name.
    """
    sizes = [len(document) for document in documents]
    offsets = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64))).astype(np.uint64)
    kind = np.uint16 if source.vocab <= 1 << 16 else np.uint32
    scored = 0
    with atomic_folder(folder) as aside:
        np.save(aside / "offsets.npy", offsets)
        with _array(aside / "tokens.npy", kind, int(offsets[-1])) as stream:
            for document in documents:
                stream.write(np.asarray(document).astype(kind).tobytes())
        with _array(aside / "losses.npy", np.float32, int(offsets[-1])) as stream:
            start = stream.tell()
            for size in sizes:
                stream.write(np.full(size, np.nan, dtype=np.float32).tobytes())

            def keep(document: int, first: int, losses: np.ndarray) -> None:
                nonlocal scored
                # Plain writes, not a map: a full disk is then an error and not a dead process.
                stream.seek(start + 4 * (int(offsets[document]) + first))
                stream.write(losses.astype(np.float32).tobytes())
                scored += len(losses)

            yield keep
        digests = {name: file_digest(aside / f"{name}.npy") for name in FILES}
        manifest = LossManifest(
            TOKEN_LOSSES_VERSION, source, len(sizes), int(offsets[-1]), scored, digests
        )
        write_json(aside / MANIFEST, asdict(manifest))


@contextmanager
def _array(path: Path, dtype: type[np.generic], size: int) -> Iterator[IO[bytes]]:
    """A .npy file of one dimension whose header is written; the data is the caller's."""
    with path.open("wb") as stream:
        header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (size,)}
        np.lib.format.write_array_header_1_0(stream, header)
        yield stream


class TokenLosses:
    """Kept losses opened for reading; `losses` and `tokens` are read-only memory maps.

    losses: float32 [tokens], NaN where a token was context only. tokens: ids [tokens].
    offsets: uint64 [documents + 1]. Raises UsageError for a folder that is not whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = _read_manifest(folder / MANIFEST)
        self.offsets = _read_array(folder / "offsets.npy", self.manifest.documents + 1)
        self.tokens = _read_array(folder / "tokens.npy", self.manifest.tokens)
        self.losses = _read_array(folder / "losses.npy", self.manifest.tokens)

    @property
    def source(self) -> LossSource:
        """Model, tokenizer and protocol."""
        return self.manifest.source

    @property
    def identity(self) -> str:
        """Digest of source and contents, for keys downstream."""
        return digest_of(asdict(self.manifest))

    def __len__(self) -> int:
        return self.manifest.documents

    def document(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Token ids and losses of one document."""
        part = slice(int(self.offsets[index]), int(self.offsets[index + 1]))
        return self.tokens[part], self.losses[part]

    def verify(self) -> None:
        """Compare the files with their digests. Raises UsageError naming the file that differs."""
        for name, expected in self.manifest.sha256.items():
            path = self.folder / f"{name}.npy"
            found = file_digest(path)
            if found != expected:
                raise UsageError(
                    f"{path}: SHA-256 is {found}, its manifest says {expected}; "
                    "the file was changed after it was written"
                )


def _read_manifest(path: Path) -> LossManifest:
    try:
        value = read_json(path)
        value["source"] = LossSource(**value["source"])
        manifest = LossManifest(**value)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path}: not a finished set of token losses ({error})") from error
    if manifest.version != TOKEN_LOSSES_VERSION:
        raise UsageError(
            f"{path}: found version {manifest.version}; this program reads {TOKEN_LOSSES_VERSION}"
        )
    return manifest


def _read_array(path: Path, size: int) -> np.ndarray:
    try:
        found: np.ndarray = np.load(path, mmap_mode="r" if size else None, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
    if found.shape != (size,):
        raise UsageError(f"{path}: found shape {found.shape}; its manifest promises ({size},)")
    return found
