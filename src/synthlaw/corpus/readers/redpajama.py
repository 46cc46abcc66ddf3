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
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import UsageError
from synthlaw.common.streams import file_system, is_remote, open_binary
from synthlaw.corpus.documents import Document, json_rows
from synthlaw.corpus.readers.input_file import Digest, InputFile, check_options

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
        "redpajama", file, content, {"base": base, **dict.fromkeys(beside, "yes")}, size
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


def read_redpajama(
    piece: InputFile, on_read: Callable[[int], object] | None = None
) -> Iterator[Document]:
    """Documents of one file, with what its signals and duplicates files say of each.

    Raises UsageError when the signals are not those of these documents.
    """
    signals = _beside(piece.path, "signals")
    rows = json_rows(open_binary(signals), signals) if signals else None
    duplicates = _duplicates(_beside(piece.path, "duplicates"))
    for number, (row, place) in enumerate(json_rows(open_binary(piece.path, on_read), piece.path)):
        identity = f"{piece.options['base']}/{number}"
        if not isinstance(row.get("raw_content"), str):
            raise UsageError(
                f"{place}: found no string 'raw_content'; expected a document of {LAYOUT}"
            )
        fields = {name: value for name, value in row.items() if name != "raw_content"}
        if rows is not None:
            fields |= _signals(next(rows, None), identity, str(signals))
        if duplicates is not None:
            fields["is_duplicate"] = identity in duplicates
        text = row["raw_content"].encode("utf-8", "replace").decode("utf-8")
        yield Document(identity, text, fields)


def _duplicates(path: str | None) -> set[str] | None:
    if path is None:
        return None
    try:
        with open_binary(path) as stream:
            return set(pq.read_table(stream, columns=["doc_id"])["doc_id"].to_pylist())
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        raise UsageError(f"{path}: no table with a column 'doc_id' ({error})") from error


def _signals(found: tuple[dict[str, Any], str] | None, identity: str, file: str) -> dict[str, Any]:
    """Columns from one row of a signals file: [[start, end, value], …] by name."""
    if found is None:
        raise UsageError(f"{file}: ends before document {identity}; expected a row for each")
    row, place = found
    if row.get("id") != identity:
        raise UsageError(f"{place}: found the signals of {row.get('id')!r}; expected {identity!r}")
    signals = row.get("quality_signals", {})
    signals = json.loads(signals) if isinstance(signals, str) else signals
    columns = {}
    for name, spans in signals.items():
        values = [span[2] for span in spans]
        columns[name] = values if name.startswith("rps_lines_") else (values or [None])[0]
    return columns
