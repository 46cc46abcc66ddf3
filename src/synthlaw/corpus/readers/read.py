"""From a piece of input to its documents."""

from __future__ import annotations

from collections.abc import Iterator

from synthlaw.common.errors import UsageError
from synthlaw.common.streams import open_binary
from synthlaw.corpus.documents import Document, read_documents, unpacked
from synthlaw.corpus.readers.input_file import InputFile, ReadReport
from synthlaw.corpus.readers.warc import Extractor, read_pages


def read_input(
    piece: InputFile, report: ReadReport | None = None, extractor: Extractor = "resiliparse"
) -> Iterator[Document]:
    """Documents of one piece, in its order; `report` takes what was skipped or bad on the way.

    Raises UsageError naming file and line for what is no document. A WARC file's bad records are
    no error: they are counted in the report.
    """
    report = ReadReport() if report is None else report
    if piece.kind == "warc":
        with open_binary(piece.path, report.on_read) as stream:
            try:
                yield from read_pages(stream, piece.name, report, extractor)
            except UsageError as error:
                raise UsageError(f"{piece.path}: {error}") from None
    elif piece.kind == "text":
        yield Document(piece.name, _read_text(piece.path, report))
    elif piece.kind == "hub":
        from synthlaw.corpus.readers.hub import read_hub

        yield from read_hub(piece)
    elif piece.kind == "redpajama":
        from synthlaw.corpus.readers.redpajama import read_redpajama

        yield from read_redpajama(piece, report.on_read)
    elif piece.kind == "embedded":
        from synthlaw.corpus.readers.packaged import read_embedded

        yield from read_embedded(piece.path)
    else:
        yield from read_documents(piece.path, report.on_read)


def _read_text(path: str, report: ReadReport) -> str:
    """A plain text file is one document."""
    try:
        with open_binary(path, report.on_read) as stream, unpacked(stream, path) as plain:
            return bytes(plain.read()).decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
