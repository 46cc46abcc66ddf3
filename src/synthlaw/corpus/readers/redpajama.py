"""RedPajama-v2 as published: documents, quality signals and duplicates in files side by side.

    ROOT/documents/2023-06/0000/en_head.json.gz
    ROOT/quality_signals/2023-06/0000/en_head.signals.json.gz
    ROOT/duplicates/2023-06/0000/en_head.duplicates.parquet
    ROOT/minhash/2023-06/0000/en_head.minhash.parquet

    redpajama:ROOT?snapshot=2023-06&language=en&bucket=head,middle

Signals of a whole document become columns under their published names; signals of lines become
lists, one value a line. `is_duplicate` says whether the duplicates file names the document; a
column is missing where its file is (the tail has no signals). Documents are joined by their id,
`2023-06/0000/en_head.json.gz/0`, which is the document's place. The published MinHash signatures
are of other hash functions and tokens; near-duplicates are found anew (see minhash.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import UsageError
from synthlaw.common.streams import file_system, is_remote, open_binary
from synthlaw.corpus.readers.document import Document
from synthlaw.corpus.readers.input_file import (
    BadDocumentError,
    BrokenFileError,
    Digest,
    InputFile,
    ReadReport,
    check_options,
)
from synthlaw.corpus.readers.jsonl import json_rows
from synthlaw.corpus.readers.unpack import plain_parts
from synthlaw.corpus.readers.values import clean, plain_fields

OPTIONS = ("snapshot", "language", "bucket")
LAYOUT = "documents/SNAPSHOT/SHARD/LANGUAGE_BUCKET.json.gz"


def redpajama_pieces(root: str, options: dict[str, str], digest: Digest) -> list[InputFile]:
    """One piece for every document file under `root` that the options let through."""
    check_options(f"redpajama:{root}", options, OPTIONS)
    wanted = {name: set(value.split(",")) for name, value in options.items()}
    files = _document_files(root)
    pieces = []
    for file in files:
        path = PurePosixPath(file)
        language, _, bucket = path.name.removesuffix(".json.gz").partition("_")
        facts = {"snapshot": path.parts[-3], "language": language, "bucket": bucket}
        if all(facts[name] in values for name, values in wanted.items()):
            pieces.append(_piece(root, file, digest))
    if not pieces:
        asked = ", ".join(f"{name}={value}" for name, value in options.items()) or "anything"
        raise UsageError(
            f"redpajama:{root}: found {len(files)} files like {LAYOUT}, none with {asked}"
        )
    return pieces


def _document_files(root: str) -> list[str]:
    if is_remote(root):
        system, path = file_system(root)
        scheme = root.partition("://")[0]
        found = system.glob(f"{path.rstrip('/')}/documents/*/*/*.json.gz")
        return sorted(f"{scheme}://{name.lstrip('/')}" for name in found)
    return sorted(str(path) for path in Path(root).glob("documents/*/*/*.json.gz"))


def _piece(root: str, file: str, digest: Digest) -> InputFile:
    beside = {name: path for name in ("signals", "duplicates") if (path := _beside(file, name))}
    files = [file, *beside.values()]
    if is_remote(file):
        content = digest_of([str(file_system(f)[0].checksum(file_system(f)[1])) for f in files])
        size = 0
    else:
        content = digest_of([digest(Path(f)) for f in files])
        size = Path(file).stat().st_size
    base = "/".join(PurePosixPath(file).parts[-3:])
    return InputFile(
        "redpajama", file, content, {"base": base, **dict.fromkeys(beside, "yes")}, size, base
    )


_BESIDE = {
    "signals": ("quality_signals", ".signals.json.gz"),
    "duplicates": ("duplicates", ".duplicates.parquet"),
}


def _beside(file: str, what: str) -> str | None:
    """The file of signals or duplicates that belongs to a document file, if it is there."""
    folder, ending = _BESIDE[what]
    head, _, tail = file.rpartition("/documents/")
    path = f"{head}/{folder}/{tail.removesuffix('.json.gz')}{ending}"
    if is_remote(path):
        system, inner = file_system(path)
        return path if system.exists(inner) else None
    return path if Path(path).exists() else None


def read_redpajama(piece: InputFile, report: ReadReport) -> Iterator[Document]:
    """Documents of one file, with what its signals and duplicates files say of each.

    A line that is no document, or has no signals where its file has, is bad and counted. Raises
    BrokenFileError when one of the three files cannot be read on, or the signals are not those of
    these documents: without them a condition on them would let through what it should not.
    """
    signals = _beside(piece.path, "signals")
    duplicates = _duplicates(_beside(piece.path, "duplicates"))
    with ExitStack() as stack:
        stream = stack.enter_context(open_binary(piece.path, report.on_read))
        joined = None
        if signals is not None:
            joined = _Signals(plain_parts(stack.enter_context(open_binary(signals))), signals)
        for number, (line, row) in enumerate(json_rows(plain_parts(stream), report, _WATCHED)):
            identity = f"{piece.options['base']}/{number}"
            if row is None:
                continue
            try:
                fields = {name: value for name, value in row.items() if name != "raw_content"}
                if joined is not None:
                    fields |= joined.of(identity)
                if duplicates is not None:
                    fields["is_duplicate"] = identity in duplicates
                yield _document(row, identity, fields)
            except BadDocumentError as error:
                report.bad_record("line", line, str(error))


_WATCHED = frozenset({"raw_content"})


def _document(row: dict[str, Any], identity: str, fields: dict[str, Any]) -> Document:
    text = row.get("raw_content")
    if not isinstance(text, str):
        found = "null" if text is None else type(text).__name__
        found = found if "raw_content" in row else "nothing"
        raise BadDocumentError(f"found {found}; expected a string 'raw_content' as in {LAYOUT}")
    return Document(identity, clean(text), plain_fields(fields))


def _duplicates(path: str | None) -> set[str] | None:
    if path is None:
        return None
    try:
        with open_binary(path) as stream:
            return set(pq.read_table(stream, columns=["doc_id"])["doc_id"].to_pylist())
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        raise BrokenFileError(f"{path}: no table with a column 'doc_id' ({error})") from error


class _Signals:
    """The rows of a signals file, joined with the documents by identity; both ascend."""

    def __init__(self, parts: Iterator[bytes], path: str) -> None:
        self._rows = json_rows(parts, ReadReport())
        self._path = path
        self._held: tuple[int, dict[str, Any]] | None = None

    def of(self, identity: str) -> dict[str, Any]:
        """Columns of one document. Raises BadDocumentError when there are none.

        Raises BrokenFileError for a file of other documents, or one that cannot be read on.
        """
        base, _, number = identity.rpartition("/")
        held = self._held
        while held is None or held[0] < int(number):
            held = self._held = self._next(base)
            if held is None:
                raise BadDocumentError("its signals file has no row for it")
        if held[0] > int(number):
            raise BadDocumentError("its signals file has no row for it")
        return _columns(held[1].get("quality_signals"))

    def _next(self, base: str) -> tuple[int, dict[str, Any]] | None:
        try:
            line, row = next(self._rows, (0, {}))
            while row is None:
                line, row = next(self._rows, (0, {}))
        except BrokenFileError as error:
            raise BrokenFileError(f"{self._path}: {error}") from None
        if not row and not line:
            return None
        theirs, _, number = str(row.get("id")).rpartition("/")
        if theirs != base or not number.isascii() or not number.isdigit():
            raise BrokenFileError(
                f"{self._path}:{line}: found the signals of {row.get('id')!r}; expected those of "
                f"documents of {base}"
            )
        return int(number[:18]), row


def _columns(signals: Any) -> dict[str, Any]:
    """Columns from one row of a signals file: [[start, end, value], …] by name."""
    try:
        signals = json.loads(signals) if isinstance(signals, str) else signals
        columns: dict[str, Any] = {}
        for name, spans in signals.items():
            values = [span[2] for span in spans]
            columns[name] = values if name.startswith("rps_lines_") else (values or [None])[0]
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        raise BadDocumentError(
            "its signals are not of the form {name: [[start, end, value]]}"
        ) from None
    return columns
