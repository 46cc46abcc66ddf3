"""What needs the whole corpus: repeated paragraphs, chosen documents, duplicates, unique names.

Items have numbers, through the parts in order. What is found is spread by part again, so that a
job reads what concerns its own parts. Memory is one part's arrays and one bucket, for any corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from synthlaw.common.parts import Part
from synthlaw.common.wordhash import Hashes
from synthlaw.corpus.annotator import BANDS, DIGESTS, IDENTITIES, SIGNATURES
from synthlaw.corpus.dedup.buckets import Numbers, RowScatter, Scatter
from synthlaw.corpus.dedup.duplicates import nth_smallest, repeats
from synthlaw.corpus.dedup.minhash import bands
from synthlaw.corpus.dedup.near import Signatures, near_repeats
from synthlaw.corpus.settings import Settings
from synthlaw.corpus.stages import PARAGRAPHS, RANKS, array_of

READ, ANNOTATED = "read", "annotated"
KINDS = ("exact", "near")

_DUPLICATES = pa.schema([("id", pa.string()), ("repeats", pa.string()), ("kind", pa.string())])


@dataclass
class Duplicates:
    """Documents that repeat others. rows: by part, (row, number of the first, place in KINDS).
    counts: by kind."""

    rows: Scatter
    counts: dict[str, int]


class Whole:
    """All parts of one stage of a corpus, in order, in its folder."""

    def __init__(self, folder: Path, parts: Sequence[Part], settings: Settings) -> None:
        self.folder, self.parts, self.settings = folder, parts, settings
        self.starts = _starts(part.documents for part in parts)
        self._between = folder.parent / "between"

    def path(self, part: int) -> Path:
        """The file of a part."""
        return self.folder / self.parts[part].name

    def array_path(self, part: int, kind: str) -> Path:
        """The file of one array of a part."""
        return self.folder / array_of(self.parts[part], kind)

    def arrays(self, kind: str) -> Iterator[NDArray[Any]]:
        """One array of every part."""
        for part in range(len(self.parts)):
            yield np.load(self.array_path(part, kind))

    def repeated_paragraphs(self, counts: Sequence[int]) -> Scatter:
        """Paragraphs that repeat earlier ones, by part: (place). counts: of each part's."""
        starts = _starts(counts)
        found = Scatter(self._between / "paragraphs", 1)
        hashes = self.arrays(PARAGRAPHS)
        for repeated in repeats(hashes, int(starts[-1]), self._between / "buckets"):
            part, row = _locate(starts, repeated.later)
            found.add(part, row.astype(np.uint64)[:, None])
        found.flush()
        return found

    def last_rank(self, parts: Sequence[int], count: int | None) -> int | None:
        """The highest rank of the `count` documents of some parts that are taken."""
        if count is None:
            return None
        return nth_smallest(lambda: (np.load(self.array_path(n, RANKS)) for n in parts), count)

    def drop(self) -> Duplicates:
        """Documents that repeat earlier ones, exactly or nearly."""
        found = Duplicates(Scatter(self._between / "dropped", 3), dict.fromkeys(KINDS, 0))
        total = int(self.starts[-1])
        if "exact" in self.settings.dedup:
            for repeated in repeats(self.arrays(DIGESTS), total, self._between / "buckets"):
                self._add(found, 0, repeated.later, repeated.first)
        if "fuzzy" in self.settings.dedup and total:
            count, _ = bands(self.settings.similarity)
            pairs = near_repeats(
                [self._band(band, found.rows) for band in range(count)],
                total - found.counts["exact"],
                Signatures(
                    [self.array_path(n, SIGNATURES) for n in range(len(self.parts))], self.starts
                ),
                self.settings.similarity,
                self._between / "near",
            )
            for later, first in pairs:
                self._add(found, 1, later, first)
        found.rows.flush()
        return found

    def _add(self, found: Duplicates, kind: int, later: Numbers, first: Numbers) -> None:
        part, row = _locate(self.starts, later)
        records = np.column_stack([row, first, np.full(len(row), kind)]).astype(np.uint64)
        found.rows.add(part, records)
        found.counts[KINDS[kind]] += len(records)

    def _band(self, band: int, dropped: Scatter) -> Callable[[], Iterable[tuple[Hashes, Numbers]]]:
        """Keys of one band and numbers of the documents that are no exact duplicates, by part."""

        def each() -> Iterator[tuple[Hashes, Numbers]]:
            for part in range(len(self.parts)):
                keys = np.array(np.load(self.array_path(part, BANDS), mmap_mode="r")[band])
                stays = np.ones(len(keys), bool)
                stays[dropped.read(part)[:, 0].astype(np.int64)] = False
                rows = np.flatnonzero(stays)
                yield keys[rows], rows + self.starts[part]

        return each

    def renamed(self, dropped: Duplicates) -> Scatter:
        """Documents that stay and bear the identity of an earlier one, by part: (row, rank)."""

        def standing() -> Iterator[Hashes]:
            for part, identities in enumerate(self.arrays(IDENTITIES)):
                identities[dropped.rows.read(part)[:, 0].astype(np.int64)] = 0
                yield identities

        found = Scatter(self._between / "renamed", 2)
        for repeated in repeats(standing(), int(self.starts[-1]), self._between / "buckets"):
            part, row = _locate(self.starts, repeated.later)
            found.add(part, np.column_stack([row, repeated.rank]).astype(np.uint64))
        found.flush()
        return found

    def write_duplicates(self, dropped: Duplicates, path: Path) -> None:
        """The table of documents that repeat others: id, repeats, kind; in the corpus' order.

        Two joins by part: first those that are repeated get their names, then those that repeat.
        """
        by_first = Scatter(self._between / "by-first", 3)
        for part in range(len(self.parts)):
            rows = dropped.rows.read(part)
            owner, first = _locate(self.starts, rows[:, 1].astype(np.int64))
            later = rows[:, 0] + np.uint64(self.starts[part])
            by_first.add(owner, np.column_stack([first.astype(np.uint64), later, rows[:, 2]]))
        named = RowScatter(self._between / "named")
        for part in range(len(self.parts)):
            rows = by_first.read(part)
            names = self._names(part, rows[:, 0])
            owner, row = _locate(self.starts, rows[:, 1].astype(np.int64))
            for bucket, *value in zip(
                owner.tolist(), row.tolist(), names, rows[:, 2].tolist(), strict=True
            ):
                named.add(bucket, value)
        with pq.ParquetWriter(path, _DUPLICATES, compression="zstd") as writer:
            for part in range(len(self.parts)):
                found = sorted(named.read(part))
                names = self._names(part, np.array([row for row, _, _ in found], np.uint64))
                columns = [
                    names,
                    [first for _, first, _ in found],
                    [KINDS[kind] for _, _, kind in found],
                ]
                if found:
                    writer.write_table(pa.table(columns, schema=_DUPLICATES))

    def _names(self, part: int, rows: Hashes) -> list[str]:
        """Identities of documents of a part by row."""
        if not len(rows):
            return []
        column = pq.read_table(self.path(part), columns=["id"])["id"]
        names: list[str] = column.take(pa.array(rows)).to_pylist()
        return names


def _starts(counts: Iterable[int]) -> Numbers:
    return np.cumsum([0, *counts], dtype=np.int64)


def _locate(starts: Numbers, numbers: Numbers) -> tuple[Numbers, Numbers]:
    """(part, place in it) of numbered items."""
    part = np.searchsorted(starts, numbers, side="right") - 1
    return part.astype(np.int64), numbers - starts[part]
