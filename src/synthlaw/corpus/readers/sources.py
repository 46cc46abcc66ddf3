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
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import UsageError
from synthlaw.common.streams import file_system, is_remote
from synthlaw.corpus.documents import JSONL_ENDINGS, PARQUET_ENDINGS
from synthlaw.corpus.readers.input_file import Digest, InputFile

TEXT_ENDINGS = (".txt", ".txt.gz", ".md")
WARC_ENDINGS = tuple(
    kind + packed for kind in (".warc", ".wet", ".warc.wet") for packed in ("", ".gz", ".zst")
)
READABLE = JSONL_ENDINGS + PARQUET_ENDINGS + TEXT_ENDINGS + WARC_ENDINGS


def find_input_files(place: str, base: Path, digest: Digest = file_digest) -> list[InputFile]:
    """The pieces that `place` names, in a fixed order; relative paths start at `base`.

    digest: SHA-256 of a local file (a caller may remember it).
    Raises UsageError when nothing is there or nothing there can be read.
    """
    scheme, colon, rest = place.partition(":")
    if colon and scheme == "embedded":
        from synthlaw.corpus.readers.packaged import embedded_digest

        return [InputFile("embedded", rest, embedded_digest(rest))]
    if colon and scheme == "hub":
        from synthlaw.corpus.readers.hub import hub_pieces

        return hub_pieces(*_options(rest, base))
    if colon and scheme == "redpajama":
        from synthlaw.corpus.readers.redpajama import redpajama_pieces

        root, options = _options(rest, base)
        return redpajama_pieces(root, options, digest)
    if is_remote(place):
        return _remote_pieces(place)
    return [
        InputFile(_kind(path.name), str(path), digest(path), size=path.stat().st_size)
        for path in find_files(place, base)
    ]


def _options(rest: str, base: Path) -> tuple[str, dict[str, str]]:
    """The part before '?', a local folder made absolute, and the options behind it."""
    name, _, query = rest.partition("?")
    path = Path(name).expanduser()
    local = path if path.is_absolute() else base / path
    return (str(local) if local.exists() else name), dict(parse_qsl(query, keep_blank_values=True))


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
        pieces = [
            InputFile(
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


def all_input_files(
    places: Iterable[str], base: Path, digest: Digest = file_digest
) -> Iterator[InputFile]:
    """Pieces of all places in order."""
    for place in places:
        yield from find_input_files(place, base, digest)
