"""Token sets: what tokenization leaves and everything after it reads.

    00000-000.bin, .idx, …    shards of ids and document offsets (tokens/shards.py)
    dataset.json              counts, dtype, tokenizer's identity, size and SHA-256 of every shard
    tokenizer.json            the tokenizer, where the command wrote the set

The manifest is written last: a set without it is unfinished and is not opened.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from synthlaw.common.digest import digest_of, file_digest
from synthlaw.common.errors import UsageError
from synthlaw.common.files import read_json
from synthlaw.tokens.shards import ShardFacts
from synthlaw.tokens.tokenizer import Tokenizer

MANIFEST = "dataset.json"
TOKENIZER_FILE = "tokenizer.json"
"""Beside a token set or a run: the tokenizer that it was made with, for what reads text."""
FORMAT = 2

MAPS = 256
"""Shards that one open set keeps mapped; each map holds a file descriptor."""


@dataclass(frozen=True)
class Manifest:
    """What `dataset.json` holds. tokens counts every id, BOS and EOS among them.

    vocab: ids are below it. tokenizer: its digest. tokenizer_name: as it was called. made_from:
    digest of what determined the texts, '' if that was not said.
    """

    format: int
    tokens: int
    documents: int
    bytes: int
    dtype: str
    vocab: int
    bos: int
    eos: int
    tokenizer: str
    tokenizer_name: str
    made_from: str
    shards: tuple[ShardFacts, ...]


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a finished set. Raises UsageError when it is none of this format."""
    place = folder / MANIFEST
    try:
        value = read_json(place)
        if value.get("format") != FORMAT:
            raise UsageError(
                f"{place}: found format {value.get('format', 1)}; expected {FORMAT}: the set was "
                "written by another version of synthlaw; tokenize its documents again"
            )
        shards = tuple(ShardFacts(**shard) for shard in value.pop("shards"))
        return Manifest(**value, shards=shards)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{place}: not a finished token set ({error})") from error


def problems_of(
    folder: Path,
    manifest: Manifest,
    *,
    verify: bool,
    on_shard: Callable[[ShardFacts], None] = lambda shard: None,
) -> list[str]:
    """What is wrong with a set's files, one line each; `verify` compares SHA-256 too.

    on_shard: told of every shard that has been looked at.
    """
    found = []
    for shard in manifest.shards:
        found += shard.problems(folder, manifest.dtype, verify=verify)
        on_shard(shard)
    own = folder / TOKENIZER_FILE
    if verify and own.exists() and (seen := file_digest(own)) != manifest.tokenizer:
        found.append(
            f"{own}: SHA-256 is {seen}, and the set was made with {manifest.tokenizer}; "
            "the tokenizer was changed after the set was written"
        )
    return found


def tokenizer_problem(folder: Path, manifest: Manifest, tokenizer: Tokenizer) -> str:
    """Why `tokenizer` cannot read the set, or '' if it is the one that made it."""
    if tokenizer.digest == manifest.tokenizer:
        return ""
    return (
        f"{folder}: was made with the tokenizer {manifest.tokenizer_name} "
        f"({manifest.tokenizer[:16]}…); found {tokenizer.name} ({tokenizer.digest[:16]}…), whose "
        "ids mean other text"
    )


def mending(folder: Path) -> str:
    """How a damaged set is mended."""
    return (
        f"{folder}: delete the files named and repeat the command that made the set; shards that "
        "are whole are kept"
    )


class TokenDataset:
    """A token set opened for reading. What it offers, and what stays as it is:

    manifest                counts, dtype, vocab, bos, eos, the tokenizer's digest
    identity                digest of the tokens and document borders
    document(i)             ids of one document, BOS and EOS included
    read(start, stop)       ids of any stretch of the set, which is one line of tokens
    windows(starts, n)      many stretches of `n` ids at once; fill() writes them into an array
    each_shard()            (ids, offsets) of every shard in order, memory-mapped: for statistics
                            over a set of any size in the memory of one shard's pages
    lengths()               tokens of every document
    verify()                compares every file with its SHA-256
    require_tokenizer(t)    refuses a tokenizer other than the set's own

    Opening looks at the manifest and the sizes of all files, and reads no token.
    Raises UsageError naming every file that is missing or has another size.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        problems = problems_of(folder, self.manifest, verify=False)
        if problems:
            raise UsageError("\n".join([*problems, mending(folder)]))
        shards = self.manifest.shards
        # Where shards start, in tokens and in documents; the last entry is the total.
        self._starts = np.cumsum([0, *(shard.tokens for shard in shards)])
        self._documents = np.cumsum([0, *(shard.documents for shard in shards)])
        self._maps: dict[int, np.ndarray] = {}

    @cached_property
    def identity(self) -> str:
        """Digest of the tokens and of the borders of documents."""
        return digest_of(
            [self.manifest.dtype]
            + [[shard.sha256_tokens, shard.sha256_offsets] for shard in self.manifest.shards]
        )

    def document(self, index: int) -> np.ndarray:
        """Ids of one document, BOS and EOS included."""
        if not 0 <= index < self.manifest.documents:
            raise IndexError(f"document {index} of {self.manifest.documents}")
        shard = int(np.searchsorted(self._documents, index, side="right")) - 1
        place = index - int(self._documents[shard])
        start, end = (int(offset) for offset in self._offsets(shard)[place : place + 2])
        return self._ids(shard)[start:end]

    def read(self, start: int, stop: int) -> np.ndarray:
        """Ids [stop - start] from `start` on; a copy where the stretch crosses shards."""
        if not 0 <= start <= stop <= self.manifest.tokens:
            raise IndexError(f"tokens {start} to {stop} of {self.manifest.tokens}")
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        pieces = []
        while start < stop:
            end = min(stop, int(self._starts[first + 1]))
            base = int(self._starts[first])
            pieces.append(self._ids(first)[start - base : end - base])
            start, first = end, first + 1
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate(pieces) if pieces else np.zeros(0, self.manifest.dtype)

    def windows(self, starts: np.ndarray, length: int) -> np.ndarray:
        """Ids int64 [len(starts), length]: the `length` ids from each of `starts` on."""
        found = np.empty((len(starts), length), dtype=np.int64)
        self.fill(found, np.arange(len(starts)), starts)
        return found

    def fill(self, out: np.ndarray, rows: np.ndarray, starts: np.ndarray) -> None:
        """Fill row rows[i] of `out`, int64 [any, length], with the ids from starts[i] on."""
        length = out.shape[1]
        shards = np.searchsorted(self._starts, starts, side="right") - 1
        places = starts - self._starts[shards]
        for row, shard, place in zip(rows.tolist(), shards.tolist(), places.tolist(), strict=True):
            ids = self._maps.get(shard)
            piece = (self._ids(shard) if ids is None else ids)[place : place + length]
            if len(piece) < length:  # it goes on in the next shard
                start = int(self._starts[shard]) + place
                piece = self.read(start, start + length)
            out[row] = piece

    def each_shard(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(ids [tokens], offsets uint64 [documents + 1] from the shard's start) of every shard."""
        for shard in range(len(self.manifest.shards)):
            yield self._map(shard, ".bin", self.manifest.dtype), self._offsets(shard)

    def lengths(self) -> np.ndarray:
        """Tokens of every document: int64 [documents]; 8 bytes of memory each."""
        parts = [np.diff(offsets.astype(np.int64)) for _, offsets in self.each_shard()]
        return np.concatenate([np.zeros(0, np.int64), *parts])

    def verify(self) -> None:
        """Compare every file with its SHA-256. Raises UsageError naming all that differ."""
        problems = problems_of(self.folder, self.manifest, verify=True)
        if problems:
            raise UsageError("\n".join([*problems, mending(self.folder)]))

    def require_tokenizer(self, tokenizer: Tokenizer) -> None:
        """Raise UsageError when the set was not made with `tokenizer`."""
        problem = tokenizer_problem(self.folder, self.manifest, tokenizer)
        if problem:
            raise UsageError(problem)

    def _ids(self, shard: int) -> np.ndarray:
        ids = self._maps.get(shard)
        if ids is None:
            while len(self._maps) >= MAPS:
                del self._maps[next(iter(self._maps))]
            ids = self._maps[shard] = self._map(shard, ".bin", self.manifest.dtype, scattered=True)
        return ids

    def _offsets(self, shard: int) -> np.ndarray:
        return self._map(shard, ".idx", "uint64")

    def _map(self, shard: int, ending: str, dtype: str, *, scattered: bool = False) -> np.ndarray:
        """A file of the shard as a read-only array of the plain kind, whose slices cost less.

        scattered: it is read here and there, so that reading ahead, megabytes for a window, is
        waste.
        """
        path = self.folder / f"{self.manifest.shards[shard].name}{ending}"
        stored = np.dtype(dtype).newbyteorder("<")
        if path.stat().st_size == 0:  # cannot be mapped
            return np.zeros(0, stored)
        with path.open("rb") as stream:
            pages = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        if scattered:
            pages.madvise(mmap.MADV_RANDOM)
        return np.frombuffer(pages, stored)
