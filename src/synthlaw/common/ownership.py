"""Ownership of output folders: nothing that this program did not write is replaced or removed.

A folder that we fill carries `.synthlaw.json`: which kind of output it holds and, where the whole
folder is replaced when it is made again, the names of the files in it. A folder without it, with
anything inside, belongs to someone else.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synthlaw.common.errors import UsageError

MARK = ".synthlaw.json"
HARMLESS = (".*", "*.log", "*.out", "*.err")
"""What may lie in a folder before we fill it: hidden files, logs of the shell that starts us."""

_SHOWN = 3


@contextmanager
def claimed(folder: Path, kind: str, beside: Iterable[str] = ()) -> Iterator[None]:
    """Hold `folder` as ours to fill with `kind`, such as `train`; again is harmless.

    beside: further names that may lie there already. Where nothing was put into a folder that was
    not ours before, it is left as it was.
    Raises UsageError when it is a file, or holds what is not ours or is another kind's.
    """
    made = not folder.exists()
    marked = claim_folder(folder, kind, beside)
    try:
        yield
    finally:
        if marked and [entry.name for entry in folder.iterdir()] == [MARK]:
            (folder / MARK).unlink()
            if made:
                folder.rmdir()


def claim_folder(folder: Path, kind: str, beside: Iterable[str] = ()) -> bool:
    """Make `folder` ours (see `claimed`) and say whether it was not before."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: found a file; expected a folder")
    folder.mkdir(parents=True, exist_ok=True)
    # Listed before the mark is looked for: another process may be claiming the same folder.
    others = _others(folder, beside)
    found = mark_of(folder)
    if found is None and others:
        raise UsageError(
            f"{folder}: holds other files ({_some(others)}); expected a new or empty folder, or "
            f"one that `synthlaw {kind}` has filled"
        )
    if found is not None and found.get("kind") != kind:
        raise UsageError(
            f"{folder}: was filled by `synthlaw {found.get('kind')}`; give `synthlaw {kind}` a "
            "folder of its own"
        )
    if found is None:
        write_mark(folder, kind)
    return found is None


def check_replaceable(folder: Path, kind: str) -> list[Path]:
    """The entries of `folder` that are not ours, which replacing it must carry over.

    Raises UsageError when the folder has entries and was not filled with `kind` by us.
    """
    found = mark_of(folder)
    others = _others(folder, ())
    if found is None and not others:
        return sorted(folder.iterdir())  # harmless as they are: a fresh clone's .git, a log
    if found is None or found.get("kind") != kind:
        raise UsageError(
            f"{folder}: holds other files ({_some(others)}); expected a new or empty folder, or "
            f"an earlier {kind} made by synthlaw, which would be replaced"
        )
    ours = {*found.get("files", ()), MARK}
    return [entry for entry in sorted(folder.iterdir()) if entry.name not in ours]


def mark_of(folder: Path) -> dict[str, Any] | None:
    """What the folder's mark says; None where there is none that can be read."""
    try:
        found = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write_mark(folder: Path, kind: str, files: Iterable[str] | None = None) -> None:
    """Mark `folder` as ours. files: names of its entries, where it is replaced as a whole."""
    value: dict[str, Any] = {"kind": kind}
    if files is not None:
        value["files"] = sorted(files)
    (folder / MARK).write_text(json.dumps(value) + "\n", encoding="utf-8")


def _others(folder: Path, beside: Iterable[str]) -> list[str]:
    allowed = (*HARMLESS, *beside)
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if not any(fnmatch.fnmatch(entry.name, pattern) for pattern in allowed)
    )


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
