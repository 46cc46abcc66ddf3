"""From pieces of input to their documents, and what is said of those that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from synthlaw.common.errors import UsageError
from synthlaw.common.progress import say
from synthlaw.common.streams import is_remote
from synthlaw.corpus.readers.document import Document
from synthlaw.corpus.readers.faults import fault_lines, faults_of, require_documents, sum_faults
from synthlaw.corpus.readers.html import Extractor
from synthlaw.corpus.readers.input_file import BrokenFileError, InputFile, ReadReport
from synthlaw.corpus.readers.ranges import range_of
from synthlaw.corpus.readers.registry import documents_of


def read_pieces(
    pieces: Iterable[InputFile],
    *,
    strict: bool = False,
    on_read: Callable[[int], object] | None = None,
) -> Iterator[Document]:
    """Documents of all pieces in order. What cannot be read costs itself and is said at the end.

    strict: raise UsageError at the first such thing. on_read: told how many bytes are read.
    Raises UsageError when nothing was read.
    """
    found = []
    for piece in pieces:
        report = ReadReport(strict=strict, on_read=on_read)
        yield from read_input(piece, report)
        found.append(faults_of(report))
    faults = sum_faults(found)
    require_documents(faults)
    for line in fault_lines(faults):
        say(line)


def read_input(
    piece: InputFile, report: ReadReport | None = None, extractor: Extractor = "resiliparse"
) -> Iterator[Document]:
    """Documents of one piece, in its order; `report` takes what was skipped or bad on the way.

    A record that is no document, and a file that is broken or holds nothing, are counted in the
    report; without one, or with a strict one, they raise UsageError naming file and place. Raises
    UsageError also when a remote file cannot be reached.
    """
    report = ReadReport(strict=True) if report is None else report
    report.path = piece.shown
    try:
        for document in documents_of(piece, report, extractor):
            report.documents += 1
            yield document
        nothing = not (report.documents or report.bad_count or report.skipped)
        if nothing and range_of(piece) is None:
            raise BrokenFileError("empty: found nothing in it")
    except BrokenFileError as error:
        report.broken_file(str(error))
    except OSError as error:
        if is_remote(piece.path):
            raise UsageError(f"{piece.path}: cannot be read to its end ({error})") from error
        report.broken_file(f"cannot be read to its end ({error})")
