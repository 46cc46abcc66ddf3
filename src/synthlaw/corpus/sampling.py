"""Some documents of very many: chosen by a seed and by their identity, or up to so much text."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from synthlaw.common.parts import Dataset, finish
from synthlaw.common.seeds import derive_seed
from synthlaw.corpus.documents import Document, documents_at, read_dataset
from synthlaw.corpus.parquet import PartWriter
from synthlaw.corpus.readers.faults import faults_of, require_documents, sum_faults
from synthlaw.corpus.readers.input_file import InputFile, ReadReport
from synthlaw.corpus.readers.read import read_input

_AT_ONCE = 1 << 9


def lowest(documents: Iterable[Document], count: int, seed: int) -> set[int]:
    """The places of the `count` documents whose identities draw the lowest numbers by `seed`.

    A document that is chosen is so whatever the others are, as long as there is room.
    """
    kept: list[tuple[int, int]] = []
    for place, document in enumerate(documents):
        rank = (-derive_seed(seed, document.id), -place)
        if len(kept) < count:
            heapq.heappush(kept, rank)
        elif rank > kept[0]:
            heapq.heapreplace(kept, rank)
    return {-place for _, place in kept}


def choose(dataset: Dataset, count: int, seed: int, out: Path) -> Dataset:
    """`count` documents of a dataset chosen by seed and identity, in their own order, in `out`.

    Memory is 100 bytes for each of the `count`, and one batch. `out` is a new folder.
    """
    numbers = np.array(sorted(lowest(read_dataset(dataset), count, seed)), np.int64)
    out.mkdir(parents=True)
    if not dataset.parts:
        return finish(out, [])
    writer = PartWriter(out, "part", pq.read_schema(dataset.paths[0]))
    for start in range(0, len(numbers), _AT_ONCE):
        for document in documents_at(dataset, numbers[start : start + _AT_ONCE]):
            writer.add(document.row())
    return finish(out, writer.close())


def sampled_texts(dataset: Dataset, most: int, seed: int) -> Iterator[str]:
    """About `most` bytes of text of documents drawn by a seed, in the dataset's own order.

    A dataset that holds no more than that is given whole.
    """
    if dataset.text_bytes <= most:
        for document in read_dataset(dataset):
            yield document.text
        return
    count = max(1, dataset.documents * most // dataset.text_bytes)
    numbers = np.sort(dataset.order(derive_seed(seed, "sample"))(np.arange(count)))
    for start in range(0, count, _AT_ONCE):
        for document in documents_at(dataset, numbers[start : start + _AT_ONCE]):
            yield document.text


def first_texts(files: Sequence[InputFile], most: int) -> Iterator[str]:
    """The first documents of every file, up to `most` bytes of text of all files together.

    Each file gives a share by its size; files of unknown size give the same. A file that has less
    than its share gives all. Raises UsageError when no document was read.
    """
    faults = []
    known = [file.size for file in files]
    mean = max(1, sum(known) // max(1, sum(map(bool, known))))
    sizes = [size or mean for size in known]
    for file, size in zip(files, sizes, strict=True):
        left = most * size // sum(sizes)
        report = ReadReport()
        documents: Iterator[Document] = read_input(file, report)
        while left > 0 and (document := next(documents, None)) is not None:
            yield document.text
            left -= len(document.text.encode())
        faults.append(faults_of(report))
    require_documents(sum_faults(faults))
