"""From what a study names (a file, a folder, a pattern, an embedded text) to documents."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path

from synthlaw.common.errors import UsageError
from synthlaw.corpus.documents import (
    JSONL_ENDINGS,
    PARQUET_ENDINGS,
    Document,
    read_documents,
)

TEXT_ENDINGS = (".txt", ".txt.gz", ".md")
READABLE = JSONL_ENDINGS + PARQUET_ENDINGS + TEXT_ENDINGS


def find_files(place: str, base: Path) -> list[Path]:
    """Readable files that `place` (file, folder or pattern, relative to `base`) names, sorted.

    Raises UsageError when nothing is there or nothing there can be read.
    """
    path = Path(place).expanduser()
    path = path if path.is_absolute() else base / path
    if path.is_dir():
        found = [p for p in path.rglob("*") if p.is_file() and _readable(p)]
        if not found:
            raise UsageError(
                f"{path}: the folder holds no readable file; expected {', '.join(READABLE)}"
            )
        return sorted(found)
    if path.is_file():
        if not _readable(path):
            raise UsageError(f"{path}: expected a file ending in {', '.join(READABLE)}")
        return [path]
    matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207  absolute patterns
    found = [match for match in matches if match.is_file() and _readable(match)]
    if not found:
        raise UsageError(f"{path}: no such file or folder, and no file matches it as a pattern")
    return found


def _readable(path: Path) -> bool:
    return path.name.lower().endswith(READABLE) and not path.name.startswith(".")


def read_files(files: list[Path]) -> Iterator[Document]:
    """Documents of all files in order. A plain text file is one document, named by its path."""
    for path in files:
        if path.name.lower().endswith(TEXT_ENDINGS):
            yield Document(path.name, _read_text(path))
        else:
            yield from read_documents(path)


def _read_text(path: Path) -> str:
    import pyarrow as pa

    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            return bytes(stream.read()).decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
