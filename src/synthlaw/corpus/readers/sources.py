"""Places: what a command or a study file names as input, and the pieces that are read from it.

    crawl/*.warc.gz                       file, folder or pattern; also s3://…, memory://…, https://…
    embedded:wikipedia                    a text that rides in a package (see embedded.py)
    hub:allenai/c4?config=en&split=train  a data set of the Hugging Face hub, streamed
    redpajama:/data/rpv2?language=en&bucket=head,middle     RedPajama-v2 as published

A piece is what one worker reads at a time: a file, or a part of a hub data set. Its `content` says
which bytes it stands for: SHA-256 of a local file, the store's own checksum of a remote one, the
commit of a hub data set.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import UsageError
from synthlaw.common.ownership import mark_of
from synthlaw.common.parts import MANIFEST
from synthlaw.common.streams import file_system, is_remote
from synthlaw.corpus.readers.document_files import DOCUMENTS_FOLDER
from synthlaw.corpus.readers.input_file import Digest, InputFile
from synthlaw.corpus.readers.registry import endings, finder, kind_of_file


def find_input_files(place: str, base: Path, digest: Digest = file_digest) -> list[InputFile]:
    """The pieces that `place` names, in a fixed order; relative paths start at `base`.

    digest: SHA-256 of a local file (a caller may remember it).
    Raises UsageError when nothing is there or nothing there can be read.
    """
    scheme, colon, rest = place.partition(":")
    if colon and (find := finder(scheme)):
        return find(rest, base, digest)
    if is_remote(place):
        return _remote_pieces(place)
    files = find_files(place, base)
    labels = _labels([str(path) for path in files])
    return [
        InputFile(_kind(path.name), str(path), digest(path), size=path.stat().st_size, label=label)
        for path, label in zip(files, labels, strict=True)
    ]


def _labels(paths: Sequence[str]) -> list[str]:
    """A name for each path: its last part, and of equal ones as many folders as tell them apart.

    It begins where the paths of equal names part, so it stays when all are moved together.
    """
    folders: dict[str, list[list[str]]] = {}
    for path in paths:
        *folder, name = path.split("/")
        folders.setdefault(name, []).append(folder)
    shared = {name: _shared(found) for name, found in folders.items()}
    return ["/".join(path.split("/")[shared[path.rpartition("/")[2]] :]) for path in paths]


def _shared(folders: list[list[str]]) -> int:
    """How many folders all have in common from the left."""
    least = min(map(len, folders))
    differs = (n for n in range(least) if len({folder[n] for folder in folders}) > 1)
    return next(differs, least)


def find_files(place: str, base: Path) -> list[Path]:
    """Readable local files that `place` (file, folder or pattern) names, sorted."""
    path = Path(place).expanduser()
    path = path if path.is_absolute() else base / path
    if path.is_dir():
        if mark_of(path) is not None and (path / DOCUMENTS_FOLDER).is_dir():
            path = path / DOCUMENTS_FOLDER  # what `prepare` or `generate` filled
        found = [p for p in path.rglob("*") if p.is_file() and _readable(p.name)]
        if not found:
            raise UsageError(
                f"{path}: the folder holds no readable file; expected {', '.join(endings())}"
            )
        return sorted(found)
    if path.is_file():
        if not _readable(path.name):
            raise UsageError(f"{path}: expected a file ending in {', '.join(endings())}")
        return [path]
    matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207  absolute patterns
    found = [match for match in matches if match.is_file() and _readable(match.name)]
    if not found:
        raise UsageError(f"{path}: no such file or folder, and no file matches it as a pattern")
    return found


def _readable(name: str) -> bool:
    # A dataset of ours describes its parts in a file that is no document.
    return kind_of_file(name) is not None and not name.startswith(".") and name != MANIFEST


def _kind(name: str) -> str:
    """The kind of a file that is read; one whose name says nothing holds documents."""
    return kind_of_file(name) or "documents"


def _remote_pieces(url: str) -> list[InputFile]:
    """Readable files of an object store that `url` (file, folder or pattern) names."""
    system, path = file_system(url)
    scheme = url.partition("://")[0]
    try:
        if any(sign in path for sign in "*?["):
            paths = system.glob(path)
        elif system.isdir(path):
            paths = system.find(path)
        else:
            paths = [path]
        names = [p for p in sorted(paths) if _readable(p.rpartition("/")[2])]
        labels = _labels(names)
        pieces = [
            InputFile(
                _kind(name),
                name if "://" in name else f"{scheme}://{name.lstrip('/')}",
                # An object store names its own version of the bytes (ETag, or size and time).
                str(system.checksum(name)),
                size=int(system.info(name).get("size") or 0),
                label=label,
            )
            for name, label in zip(names, labels, strict=True)
        ]
    except (OSError, NotImplementedError) as error:
        raise UsageError(f"{url}: cannot be listed ({type(error).__name__}: {error})") from error
    if not pieces:
        raise UsageError(f"{url}: nothing there ends in {', '.join(endings())}")
    return pieces


def all_input_files(
    places: Iterable[str], base: Path, digest: Digest = file_digest
) -> Iterator[InputFile]:
    """Pieces of all places in order."""
    for pieces in told_apart([find_input_files(place, base, digest) for place in places]):
        yield from pieces


def told_apart(found: Sequence[Sequence[InputFile]]) -> list[list[InputFile]]:
    """The pieces of several places, with labels that tell all their files apart."""
    files = {p.path: p.label for pieces in found for p in pieces if finder(p.kind) is None}
    if len(set(files.values())) < len(files):
        files = dict(zip(files, _labels(list(files)), strict=True))
    return [[replace(p, label=files.get(p.path, p.label)) for p in pieces] for pieces in found]
