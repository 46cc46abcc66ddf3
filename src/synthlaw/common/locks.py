"""Folders that one process at a time may work in, on this machine.

The lock is the operating system's (`flock`, through filelock), so it ends with its process, however
that ends. A note beside it says who holds it. Between machines `claims` decides.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from synthlaw.common.errors import UsageError
from synthlaw.common.files import read_json, write_json

LOCK, HOLDER = ".lock", ".lock-holder.json"
PATIENCE_SECONDS = 0.5
"""Who only asks for the holder has the lock for a moment."""


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold `folder`, which is made. Raises UsageError that names the process that holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=PATIENCE_SECONDS)
    except Timeout:
        raise UsageError(
            f"{folder}: in use by {_holder(folder)}; wait for it, or give another --out"
        ) from None
    try:
        write_json(folder / HOLDER, {"pid": os.getpid(), "host": socket.gethostname()})
        yield
    finally:
        with suppress(OSError):
            (folder / HOLDER).unlink()
        lock.release()


def holder_of(folder: Path) -> str | None:
    """Who holds `folder`, such as 'process 71 on node3'; None when nobody does."""
    if not (folder / LOCK).exists():
        return None
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return _holder(folder)
    except OSError:  # a folder that we may only read
        return None
    lock.release()
    return None


def _holder(folder: Path) -> str:
    try:
        note = read_json(folder / HOLDER)
        return f"process {note['pid']} on {note['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
