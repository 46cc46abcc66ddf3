"""Who works on which block, when several workers share one output folder.

A claim is a file that only one worker can create; it names the worker. Each worker rewrites its
own heartbeat file every few seconds. A claim whose worker's heartbeat has stopped may be taken
over. Times are compared between files of the same file system, so clocks need not agree.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import uuid
from pathlib import Path
from typing import Any

from synthlaw.common.files import write_json

HEARTBEAT_SECONDS = 3.0
STALE_SECONDS = 45.0


class Claims:
    """The claims of one worker in a folder shared with others."""

    def __init__(self, folder: Path, *, stale_seconds: float = STALE_SECONDS) -> None:
        """folder: holds `claims/` and `workers/`; both are made."""
        self.worker = uuid.uuid4().hex[:12]
        self._claims, self._workers = folder / "claims", folder / "workers"
        self._stale_seconds = stale_seconds
        self._claims.mkdir(parents=True, exist_ok=True)
        self._workers.mkdir(parents=True, exist_ok=True)
        self.beat({})

    @property
    def _heartbeat(self) -> Path:
        return self._workers / f"{self.worker}.json"

    def beat(self, news: dict[str, Any]) -> None:
        """Say that this worker lives, with what others may want to know of it."""
        here = {"host": socket.gethostname(), "pid": os.getpid()}
        write_json(self._heartbeat, {"worker": self.worker, **here, **news})

    def leave(self) -> None:
        """Take the heartbeat away; claims that are still held become free for others."""
        self._heartbeat.unlink(missing_ok=True)

    def _path(self, block: int) -> Path:
        return self._claims / f"{block:06d}.json"

    def take(self, block: int) -> bool:
        """Whether the block is this worker's from now on: it was free, or its worker is gone."""
        path = self._path(block)
        holder = self._holder(path)
        if holder is not None and holder != self.worker:
            if self._alive(holder):
                return False
            self._remove_claim_of(holder, path)
        # A link to a whole file: nobody ever reads a claim that is not written yet.
        aside = self._claims / f".aside-{self.worker}-{block}"
        aside.write_text(self.worker, encoding="ascii")
        try:
            os.link(aside, path)
            return True
        except FileExistsError:
            return self._holder(path) == self.worker
        finally:
            aside.unlink(missing_ok=True)

    def holds(self, block: int) -> bool:
        """Whether the claim is still this worker's; a stalled worker may have lost it."""
        return self._holder(self._path(block)) == self.worker

    def release(self, block: int) -> None:
        """Give the block back."""
        if self.holds(block):
            self._path(block).unlink(missing_ok=True)

    @staticmethod
    def _holder(path: Path) -> str | None:
        try:
            return path.read_text(encoding="ascii")
        except FileNotFoundError:
            return None

    def _remove_claim_of(self, holder: str, path: Path) -> None:
        """Remove a dead worker's claim, unless another has taken the block in the meantime."""
        grave = self._claims / f".aside-{self.worker}-{path.stem}-taken"
        with contextlib.suppress(FileNotFoundError):
            path.rename(grave)
            if self._holder(grave) != holder:
                with contextlib.suppress(FileExistsError):
                    os.link(grave, path)
            grave.unlink(missing_ok=True)

    def _alive(self, worker: str) -> bool:
        path = self._workers / f"{worker}.json"
        try:
            theirs = path.stat().st_mtime
            state = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        if state.get("host") == socket.gethostname() and not _process_exists(int(state["pid"])):
            return False
        return self._heartbeat.stat().st_mtime - theirs < self._stale_seconds


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
