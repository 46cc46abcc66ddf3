"""Atomic writes: a file or folder is either whole under its name or not there at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synthlaw.common.liveness import host_tag, process_exists
from synthlaw.common.ownership import check_replaceable, write_mark

ASIDE = ".aside-"
"""Prefix of names under which unfinished work is written; such names are never read.
The machine and the process that writes follow."""

ABANDONED_SECONDS = 86400.0
"""Unfinished work of another machine is abandoned when nothing in it changed for so long."""


def _aside_prefix() -> str:
    return f"{ASIDE}{host_tag()}-{os.getpid()}-"


def remove_abandoned(paths: Iterable[Path]) -> None:
    """Remove unfinished work, named by ASIDE, whose process is gone; what others write stays."""
    for path in paths:
        if _is_abandoned(path):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _is_abandoned(path: Path) -> bool:
    host, _, rest = path.name.removeprefix(ASIDE).partition("-")
    pid = rest.partition("-")[0]
    if host == host_tag() and pid.isdecimal():
        return not process_exists(int(pid))
    try:
        last = max(one.stat().st_mtime for one in [path, *path.rglob("*")])
    except FileNotFoundError:
        return False  # somebody is at work on it
    return time.time() - last > ABANDONED_SECONDS


def _sync(path: Path) -> None:
    """Flush a file or a folder's entries to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a name to write to; on success it is synced and renamed to `path`, else removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=_aside_prefix(), suffix=path.suffix, dir=path.parent)
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        aside.chmod(0o644)
        _sync(aside)
        aside.replace(path)
        _sync(path.parent)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def move_synced(source: Path, target: Path) -> None:
    """Rename a whole, synced file to another folder of the same file system, for good."""
    source.replace(target)
    _sync(target.parent)


@contextmanager
def atomic_folder(path: Path, kind: str | None = None) -> Iterator[Path]:
    """Give a folder to fill; on success it is synced and replaces `path`, else removed.

    kind: of output, for a folder that people look into. It is marked as ours, replaces only what
    bears the same mark, and files that others have put there stay.
    Raises UsageError when `path` holds what is not ours (see `ownership`).
    """
    if path.is_symlink():
        path = path.resolve()
    if kind is not None and path.is_dir():
        check_replaceable(path, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=_aside_prefix(), dir=path.parent))
    try:
        yield aside
        if kind is not None:
            _mark(aside, path, kind)
        for entry in sorted(aside.rglob("*")):
            if not entry.is_symlink():
                # Libraries that write aside themselves leave files that only their owner can read.
                entry.chmod(0o755 if entry.is_dir() else 0o644)
                _sync(entry)
        _sync(aside)
        aside.chmod(0o755)
        if path.exists():
            # The old folder goes away only after the new one has its name.
            old = Path(tempfile.mkdtemp(prefix=_aside_prefix(), dir=path.parent))
            path.replace(old / path.name)
            aside.replace(path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            aside.replace(path)
        _sync(path.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _mark(aside: Path, path: Path, kind: str) -> None:
    """Sign the filled folder, and bring over what others have put into the one it replaces."""
    write_mark(aside, kind, [entry.name for entry in aside.iterdir()])
    for entry in check_replaceable(path, kind) if path.is_dir() else ():
        if not (aside / entry.name).exists():
            if entry.is_dir() and not entry.is_symlink():
                shutil.copytree(entry, aside / entry.name, symlinks=True)
            else:
                shutil.copy2(entry, aside / entry.name, follow_symlinks=False)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_path(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with a final newline, atomically. NaN is refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path) -> Any:
    """Read one JSON document."""
    return json.loads(path.read_text(encoding="utf-8"))
