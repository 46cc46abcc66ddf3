"""What a run reads: documents in a fixed order, any range of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import UsageError
from synthlaw.corpus.documents import Document, read_documents


class Inputs(Protocol):
    """Documents in an order that never changes.

    documents: how many there are. digests: of all that determines them and their order.
    """

    @property
    def documents(self) -> int: ...

    @property
    def digests(self) -> Sequence[str]: ...

    def range(self, start: int, stop: int) -> Iterator[Document]:
        """Documents number `start` to `stop`, the latter not included, in order.

        To be read to its end before the next range is asked for. Memory does not grow with it.
        """
        ...

    def scan(self) -> Iterator[Document]:
        """Every document once, in whatever order is read fastest."""
        ...


class InputFiles:
    """Documents of files in the order given; see `survey`.

    Going forward reads on, going back starts over.
    """

    def __init__(self, paths: Sequence[Path], digests: Sequence[str], documents: int) -> None:
        self.paths, self.digests, self.documents = tuple(paths), tuple(digests), documents
        self._at, self._stream = 0, self.scan()

    def range(self, start: int, stop: int) -> Iterator[Document]:
        """Documents number `start` to `stop`, the latter not included, in order."""
        if start < self._at:
            self._at, self._stream = 0, self.scan()
        while self._at < stop and (document := next(self._stream, None)) is not None:
            self._at += 1
            if self._at > start:
                yield document

    def scan(self) -> Iterator[Document]:
        """Every document, file after file."""
        for path in self.paths:
            yield from read_documents(path)


def survey(paths: Sequence[Path]) -> InputFiles:
    """Read the input files once to the end. Raises UsageError for a missing or bad one."""
    for path in paths:
        if not path.is_file():
            raise UsageError(f"input: found no file {path}; expected JSONL or Parquet documents")
    count = sum(1 for path in paths for _ in read_documents(path))
    if count == 0:
        raise UsageError(f"input: found no documents in {', '.join(map(str, paths))}")
    return InputFiles(paths, [file_digest(path) for path in paths], count)
