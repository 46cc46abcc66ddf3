"""Unigram counts of a token set, block by block, in one pass over its memory map.

A set's documents are cut into at most `BLOCKS` runs of neighbours, and each is counted by itself.
The sum is the set's count; leaving out one block at a time gives every statistic its interval
(see `jackknife`), with no second pass. Memory is blocks x vocabulary x 8 bytes: 16 MB for the
128,256 entries of Llama 3, whatever the size of the set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from synthlaw.common.errors import UsageError
from synthlaw.common.files import atomic_folder, read_json, write_json
from synthlaw.common.progress import meter
from synthlaw.execute.base import Json, Report, results_of
from synthlaw.execute.registry import here
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.shares import exact_shares

UNIGRAMS_VERSION = 1
BLOCKS = 16
CHUNK = 1 << 20
"""Tokens counted at a time: `bincount` widens what it is given to 8 bytes an id, and these stay in
the processor's cache."""

PART = 16 * CHUNK
"""Tokens read at a time."""

PARALLEL_TOKENS = 1 << 27
"""Below so many tokens a pool of processes starts later than one process ends."""


@dataclass(frozen=True)
class Unigrams:
    """Counts of one set. blocks: uint64 [blocks, vocab]; the ids of `special` are not counted.

    tokens of the set are those of its text, without the BOS and EOS around each document.
    """

    name: str
    blocks: np.ndarray
    documents: int
    tokenizer: str

    @cached_property
    def counts(self) -> np.ndarray:
        """uint64 [vocab]."""
        total: np.ndarray = self.blocks.sum(axis=0, dtype=np.uint64)
        return total

    @property
    def tokens(self) -> int:
        """Tokens counted."""
        return int(self.counts.sum())

    @property
    def vocab(self) -> int:
        """Entries of the vocabulary."""
        return int(self.blocks.shape[1])

    def probabilities(self) -> np.ndarray:
        """Relative frequencies, float64 [vocab]; zeros for an empty set."""
        return self.counts / max(self.tokens, 1)


def count_unigrams(name: str, data: TokenDataset, *, workers: int = 1) -> Unigrams:
    """Count the tokens of `data`; memory does not depend on its size.

    workers: processes that count side by side, when the set is large enough to be worth them; the
    counts are the same whatever their number. Raises UsageError for an id outside the vocabulary.
    """
    manifest = data.manifest
    edges = block_edges(data)
    blocks = np.zeros((max(len(edges) - 1, 1), manifest.vocab), dtype=np.uint64)
    with meter(f"counting {name}", max(manifest.tokens, 1), "token") as bar:
        if workers > 1 and manifest.tokens >= PARALLEL_TOKENS:
            _count_in_processes(data, edges, blocks, workers, bar.advance)
        else:
            for block, (start, end) in enumerate(pairwise(edges)):
                blocks[block] = _count(data, start, end, name, bar.advance)
    blocks[:, special_ids(data)] = 0
    return Unigrams(name, blocks, manifest.documents, manifest.tokenizer)


def _count_in_processes(
    data: TokenDataset, edges: list[int], blocks: np.ndarray, workers: int, report: Report
) -> None:
    """Count block by block, each in a process, which leaves its counts in a file."""
    # Threads would wait for each other: bincount holds the interpreter's lock.
    with TemporaryDirectory(prefix="synthlaw-") as aside, here(workers, len(blocks)) as executor:
        jobs = [
            {"folder": str(data.folder.absolute()), "start": start, "end": end}
            | {"counts": str(Path(aside) / f"{block}.npy")}
            for block, (start, end) in enumerate(pairwise(edges))
        ]
        for block, path in results_of(executor.map(JOB, jobs, on_progress=report)):
            blocks[block] = np.load(path, allow_pickle=False)


JOB = "synthlaw.statistics.unigrams:count_block"
"""`count_block` as executors know it."""


def count_block(payload: Json, report: Report) -> str:
    """Count the tokens of one block into a file; returns the file's path."""
    data = TokenDataset(Path(payload["folder"]))
    counts = _count(data, payload["start"], payload["end"], data.folder.name, report)
    np.save(payload["counts"], counts)
    return str(payload["counts"])


def _count(data: TokenDataset, start: int, end: int, name: str, report: Report) -> np.ndarray:
    """Counts of the ids from position `start` to `end`, uint64 [vocab]."""
    total = np.zeros(data.manifest.vocab, dtype=np.uint64)
    for begin in range(start, end, PART):
        stop = min(begin + PART, end)
        total += count_range(data.read(begin, stop), data.manifest.vocab, name, begin)
        report(stop - begin)
    return total


def count_range(tokens: np.ndarray, vocab: int, name: str = "tokens", first: int = 0) -> np.ndarray:
    """Counts of a flat array of ids, uint64 [vocab], `CHUNK` ids at a time.

    Raises UsageError for an id that is not below `vocab`, naming its place from `first` on.
    """
    total = np.zeros(vocab, dtype=np.int64)
    for start in range(0, len(tokens), CHUNK):
        found = np.bincount(tokens[start : start + CHUNK], minlength=vocab)
        if len(found) > vocab:
            chunk = np.asarray(tokens[start : start + CHUNK])
            place = int(np.argmax(chunk >= vocab))
            raise UsageError(
                f"{name}: found token id {chunk[place]} at position {first + start + place:,}; "
                f"expected ids below {vocab}, the size of the vocabulary"
            )
        total += found
    return total.astype(np.uint64)


def block_edges(data: TokenDataset) -> list[int]:
    """Positions that cut the tokens into blocks of whole documents, about equal in tokens."""
    offsets = np.concatenate(([0], np.cumsum(data.lengths())))
    if data.manifest.documents == 0:
        return [0, 0]
    wanted = np.linspace(0, data.manifest.tokens, min(BLOCKS, data.manifest.documents) + 1)
    places = np.searchsorted(offsets, wanted)
    # A document longer than a block takes the places of several: their edges fall together.
    return [int(place) for place in np.unique(offsets[places])]


def special_ids(data: TokenDataset) -> list[int]:
    """The BOS and EOS around every document, which are no part of its text."""
    return [data.manifest.bos, data.manifest.eos]


def check_same_tokenizer(sets: Iterable[tuple[str, Unigrams]]) -> None:
    """Raise UsageError unless all sets were made with one tokenizer."""
    tokenizers = [(name, one.tokenizer[:12]) for name, one in sets]
    if len({digest for _, digest in tokenizers}) > 1:
        listed = ", ".join(f"{name} {digest}" for name, digest in tokenizers)
        raise UsageError(f"the sets were made with different tokenizers: {listed}")


def thinned(unigrams: Unigrams, tokens: int, seed: int) -> Unigrams:
    """A sample of `tokens` of the set's tokens, drawn without replacement and without a pass.

    Every block gives its part. A set that holds no more than `tokens` is given back whole.
    """
    if tokens >= unigrams.tokens:
        return unigrams
    random = np.random.default_rng(seed)
    sizes = unigrams.blocks.sum(axis=1)
    drawn = _draw(sizes, tokens, random)
    blocks = np.stack(
        [
            _draw(block, int(size), random)
            for block, size in zip(unigrams.blocks, drawn, strict=True)
        ]
    )
    return Unigrams(unigrams.name, blocks, unigrams.documents, unigrams.tokenizer)


def _draw(counts: np.ndarray, tokens: int, random: np.random.Generator) -> np.ndarray:
    """Draw `tokens` of an urn without replacement: uint64, one count per colour.

    numpy's method ends at 1e9 balls. From a larger urn colours are drawn one after the other, as
    with replacement but never more than there are: right as long as few of them are drawn.
    """
    some = np.flatnonzero(counts)
    drawn = np.zeros(len(counts), dtype=np.uint64)
    left = int(counts.sum())
    if left < 1_000_000_000:
        drawn[some] = random.multivariate_hypergeometric(
            counts[some].astype(np.int64), tokens, method="marginals"
        )
        return drawn
    wanted = tokens
    for colour in some:
        have = int(counts[colour])
        # What is left to draw must fit into what is left in the urn after this colour.
        lowest = max(0, wanted - (left - have))
        count = have if wanted == left else int(random.binomial(wanted, have / left))
        count = min(max(count, lowest), wanted)
        drawn[colour] = count
        wanted, left = wanted - count, left - have
    return drawn


def mixed(
    name: str, parts: Mapping[str, Unigrams], shares: Mapping[str, float], tokens: int, seed: int
) -> Unigrams:
    """`tokens` tokens of a mixture, from the counts of its parts; shares are of tokens.

    Raises UsageError when a part holds fewer tokens than its share asks for, or is not there.
    """
    exact = {source: share for source, share in exact_shares(shares).items() if share > 0}
    for source, share in exact.items():
        if source not in parts:
            raise UsageError(f"mixture {name!r}: there is no set {source!r}")
        if parts[source].tokens < int(share * tokens):
            raise UsageError(
                f"mixture {name!r}: {source!r} holds {parts[source].tokens:,} tokens and its share "
                f"of {tokens:,} is {int(share * tokens):,}"
            )
    check_same_tokenizer((source, parts[source]) for source in exact)
    drawn = [
        thinned(parts[source], int(s * tokens), seed + i)
        for i, (source, s) in enumerate(exact.items())
    ]
    return Unigrams(
        name,
        np.concatenate([part.blocks for part in drawn]),
        sum(part.documents for part in drawn),
        drawn[0].tokenizer,
    )


def write_unigrams(folder: Path, unigrams: Unigrams, identity: str) -> None:
    """Keep counts in `folder`; identity: of the token set that was counted."""
    with atomic_folder(folder) as aside:
        np.save(aside / "blocks.npy", unigrams.blocks)
        facts = {
            "version": UNIGRAMS_VERSION,
            "name": unigrams.name,
            "documents": unigrams.documents,
            "tokenizer": unigrams.tokenizer,
            "identity": identity,
        }
        write_json(aside / "unigrams.json", facts)


def read_unigrams(folder: Path, identity: str) -> Unigrams | None:
    """Kept counts of the set with this identity; None when there are none, or of another."""
    try:
        facts = read_json(folder / "unigrams.json")
        if (facts["version"], facts["identity"]) != (UNIGRAMS_VERSION, identity):
            return None
        blocks = np.load(folder / "blocks.npy", allow_pickle=False)
        return Unigrams(facts["name"], blocks, facts["documents"], facts["tokenizer"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
