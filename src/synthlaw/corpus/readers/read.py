"""From pieces of input to their documents, and what is said of those that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from synthlaw.common.errors import UsageError
from synthlaw.common.progress import say
from synthlaw.common.streams import is_remote, open_binary
from synthlaw.corpus.readers.document import Document
from synthlaw.corpus.readers.document_files import labelled_documents
from synthlaw.corpus.readers.faults import fault_lines, faults_of, require_documents, sum_faults
from synthlaw.corpus.readers.html import Extractor
from synthlaw.corpus.readers.input_file import BrokenFileError, InputFile, ReadReport
from synthlaw.corpus.readers.unpack import plain_parts
from synthlaw.corpus.readers.warc import read_pages

LONGEST_FILE = 1 << 28
"""Longest plain text file in bytes that is taken as a document."""


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
        for document in _documents(piece, report, extractor):
            report.documents += 1
            yield document
        if not (report.documents or report.bad_count or report.skipped):
            raise BrokenFileError("empty: found nothing in it")
    except BrokenFileError as error:
        report.broken_file(str(error))
    except OSError as error:
        if is_remote(piece.path):
            raise UsageError(f"{piece.path}: cannot be read to its end ({error})") from error
        report.broken_file(f"cannot be read to its end ({error})")


def _documents(piece: InputFile, report: ReadReport, extractor: Extractor) -> Iterator[Document]:
    if piece.kind == "warc":
        with open_binary(piece.path, report.on_read) as stream:
            yield from read_pages(stream, piece.name, report, extractor, piece.label)
    elif piece.kind == "text":
        yield Document(piece.label, _text_of(piece, report))
    elif piece.kind == "hub":
        from synthlaw.corpus.readers.hub import read_hub

        yield from read_hub(piece, report)
    elif piece.kind == "redpajama":
        from synthlaw.corpus.readers.redpajama import read_redpajama

        yield from read_redpajama(piece, report)
    elif piece.kind == "embedded":
        from synthlaw.corpus.readers.packaged import read_embedded

        yield from read_embedded(piece.path)
    else:
        yield from labelled_documents(piece.path, piece.label, report)


def _text_of(piece: InputFile, report: ReadReport) -> str:
    """A plain text file is one document."""
    parts: list[bytes] = []
    size = 0
    with open_binary(piece.path, report.on_read) as stream:
        for part in plain_parts(stream):
            parts.append(part)
            size += len(part)
            if size > LONGEST_FILE:
                raise BrokenFileError(
                    f"more than {LONGEST_FILE} bytes of plain text; expected one document a file"
                )
    if not size:
        raise BrokenFileError("empty: found nothing in it")
    return b"".join(parts).decode("utf-8-sig", "replace")
