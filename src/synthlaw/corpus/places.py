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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import UsageError
from synthlaw.common.streams import file_system, is_remote
from synthlaw.corpus.documents import JSONL_ENDINGS, PARQUET_ENDINGS

TEXT_ENDINGS = (".txt", ".txt.gz", ".md")
WARC_ENDINGS = tuple(
    kind + packed for kind in (".warc", ".wet", ".warc.wet") for packed in ("", ".gz", ".zst")
)
READABLE = JSONL_ENDINGS + PARQUET_ENDINGS + TEXT_ENDINGS + WARC_ENDINGS

Digest = Callable[[Path], str]


@dataclass(frozen=True)
class Piece:
    """One piece of input. kind: how it is read. path: file, URL or name. options: how, further."""

    kind: str
    path: str
    content: str
    options: dict[str, str] = field(default_factory=dict)
    size: int = 0

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rstrip("/").rpartition("/")[2]

    def key(self) -> list[Any]:
        """What determines the documents read from it; not the folder, so a corpus may move."""
        return [self.kind, self.name, self.content, dict(sorted(self.options.items()))]


def find_pieces(place: str, base: Path, digest: Digest = file_digest) -> list[Piece]:
    """The pieces that `place` names, in a fixed order; relative paths start at `base`.

    digest: SHA-256 of a local file (a caller may remember it).
    Raises UsageError when nothing is there or nothing there can be read.
    """
    scheme, colon, rest = place.partition(":")
    if colon and scheme == "embedded":
        from synthlaw.corpus.embedded import embedded_digest

        return [Piece("embedded", rest, embedded_digest(rest))]
    if colon and scheme == "hub":
        from synthlaw.corpus.hub import hub_pieces

        return hub_pieces(*_options(rest, base))
    if colon and scheme == "redpajama":
        from synthlaw.corpus.redpajama import redpajama_pieces

        root, options = _options(rest, base)
        return redpajama_pieces(root, options, digest)
    if is_remote(place):
        return _remote_pieces(place)
    return [
        Piece(_kind(path.name), str(path), digest(path), size=path.stat().st_size)
        for path in find_files(place, base)
    ]


def _options(rest: str, base: Path) -> tuple[str, dict[str, str]]:
    """The part before '?', a local folder made absolute, and the options behind it."""
    name, _, query = rest.partition("?")
    path = Path(name).expanduser()
    local = path if path.is_absolute() else base / path
    return (str(local) if local.exists() else name), dict(parse_qsl(query, keep_blank_values=True))


def check_options(place: str, found: dict[str, str], known: tuple[str, ...]) -> None:
    """Raise UsageError for an option that does not exist."""
    for name in found:
        if name not in known:
            raise UsageError(f"{place}: found option '{name}'; expected {', '.join(known)}")


def find_files(place: str, base: Path) -> list[Path]:
    """Readable local files that `place` (file, folder or pattern) names, sorted."""
    path = Path(place).expanduser()
    path = path if path.is_absolute() else base / path
    if path.is_dir():
        found = [p for p in path.rglob("*") if p.is_file() and _readable(p.name)]
        if not found:
            raise UsageError(
                f"{path}: the folder holds no readable file; expected {', '.join(READABLE)}"
            )
        return sorted(found)
    if path.is_file():
        if not _readable(path.name):
            raise UsageError(f"{path}: expected a file ending in {', '.join(READABLE)}")
        return [path]
    matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207  absolute patterns
    found = [match for match in matches if match.is_file() and _readable(match.name)]
    if not found:
        raise UsageError(f"{path}: no such file or folder, and no file matches it as a pattern")
    return found


def _readable(name: str) -> bool:
    return name.lower().endswith(READABLE) and not name.startswith(".")


def _kind(name: str) -> str:
    name = name.lower()
    if name.endswith(WARC_ENDINGS):
        return "warc"
    return "text" if name.endswith(TEXT_ENDINGS) else "documents"


def _remote_pieces(url: str) -> list[Piece]:
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
        pieces = [
            Piece(
                _kind(name),
                name if "://" in name else f"{scheme}://{name.lstrip('/')}",
                # An object store names its own version of the bytes (ETag, or size and time).
                str(system.checksum(name)),
                size=int(system.info(name).get("size") or 0),
            )
            for name in names
        ]
    except (OSError, NotImplementedError) as error:
        raise UsageError(f"{url}: cannot be listed ({type(error).__name__}: {error})") from error
    if not pieces:
        raise UsageError(f"{url}: nothing there ends in {', '.join(READABLE)}")
    return pieces


def all_pieces(places: Iterable[str], base: Path, digest: Digest = file_digest) -> Iterator[Piece]:
    """Pieces of all places in order."""
    for place in places:
        yield from find_pieces(place, base, digest)
