"""What a run reads: documents in a fixed order, any range of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import UsageError
from synthlaw.corpus.documents import Document
from synthlaw.corpus.readers.document_files import check_kind, labelled_documents
from synthlaw.corpus.readers.faults import faults_of, require_documents, sum_faults
from synthlaw.corpus.readers.input_file import BrokenFileError, ReadReport


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

    def __init__(
        self, paths: Sequence[Path], digests: Sequence[str], reports: Sequence[ReadReport]
    ) -> None:
        """reports: on each file, read once to its end."""
        self.paths, self.digests = tuple(paths), tuple(digests)
        self.documents = sum(report.documents for report in reports)
        self.faults = sum_faults(map(faults_of, reports))
        self._reports = reports
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
            yield from _documents(path, ReadReport())

    def bad_records(self) -> Iterator[dict[str, Any]]:
        """What could not be read, each by file and place with its reason."""
        for report in self._reports:
            for unit, number, reason in report.bad:
                yield {"file": report.path, unit: number, "reason": reason}
            if report.broken is not None:
                yield {"file": report.path, "reason": report.broken}


def _documents(path: Path, report: ReadReport) -> Iterator[Document]:
    """Documents of one file; what is none goes into the report."""
    report.path = str(path)
    try:
        for document in labelled_documents(str(path), path.name, report):
            report.documents += 1
            yield document
    except BrokenFileError as error:
        report.broken_file(str(error))


def survey(paths: Sequence[Path], *, strict: bool = False) -> InputFiles:
    """Read the input files once to the end.

    strict: end at the first record or file that cannot be read, instead of counting it.
    Raises UsageError for a missing file, one of no known kind, and an input without a document.
    """
    for path in paths:
        if not path.is_file():
            raise UsageError(f"input: found no file {path}; expected JSONL or Parquet documents")
        check_kind(str(path))
    reports = [ReadReport(strict=strict) for _ in paths]
    for path, report in zip(paths, reports, strict=True):
        for _ in _documents(path, report):
            pass
    found = InputFiles(paths, [file_digest(path) for path in paths], reports)
    try:
        require_documents(found.faults)
    except UsageError as error:
        raise UsageError(f"input: {', '.join(map(str, paths))}: {error}") from None
    return found
