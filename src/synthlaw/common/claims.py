"""Who works on what, when several workers, perhaps on several machines, share one folder.

A claim is a file that only one worker can create; it names the worker. Each worker rewrites its
own heartbeat file every few seconds. A claim whose worker's heartbeat has stopped may be taken
over. Times are compared between files of the same file system, so clocks need not agree.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synthlaw.common.files import read_json, write_json
from synthlaw.common.liveness import process_exists

HEARTBEAT_SECONDS = 3.0
STALE_SECONDS = 45.0
WAIT_SECONDS = 0.5
"""Between two looks at a claim that another holds."""


class Claims:
    """The claims of one worker in a folder shared with others."""

    def __init__(self, folder: Path, *, stale_seconds: float = STALE_SECONDS) -> None:
        """folder: holds `claims/`, `workers/` and `sessions/`, which are made."""
        self.worker = uuid.uuid4().hex[:12]
        self._claims, self._workers = folder / "claims", folder / "workers"
        self._sessions = folder / "sessions"
        self._stale_seconds = stale_seconds
        for place in (self._claims, self._workers):
            place.mkdir(parents=True, exist_ok=True)
        self._started, self._began = time.time(), time.monotonic()
        self.beat({})

    @property
    def _heartbeat(self) -> Path:
        return self._workers / f"{self.worker}.json"

    def beat(self, news: dict[str, Any]) -> None:
        """Say that this worker lives, with what others may want to know of it."""
        here = {"host": socket.gethostname(), "pid": os.getpid(), "started": self._started}
        seconds = round(time.monotonic() - self._began, 3)
        write_json(self._heartbeat, {"worker": self.worker, **here, "seconds": seconds, **news})

    def leave(self, news: dict[str, Any] | None = None) -> None:
        """Stop living, with some last news; claims that are still held become free for others.

        What this worker did stays in `sessions/`: time is money.
        """
        self.beat(news or {})
        self._sessions.mkdir(exist_ok=True)
        self._heartbeat.replace(self._sessions / self._heartbeat.name)

    def forget(self) -> None:
        """End without a trace; claims that are still held become free for others."""
        self._heartbeat.unlink(missing_ok=True)

    def _path(self, block: int | str) -> Path:
        name = block if isinstance(block, str) else f"{block:06d}"
        return self._claims / f"{name}.json"

    def take(self, block: int | str) -> bool:
        """Whether the block is this worker's from now on: it was free, or its worker is gone.

        block: a number, or a name that may be a file's.
        """
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

    def holds(self, block: int | str) -> bool:
        """Whether the claim is still this worker's; a stalled worker may have lost it."""
        return self._holder(self._path(block)) == self.worker

    def release(self, block: int | str) -> None:
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
        if _is_gone(state):
            return False
        return self._heartbeat.stat().st_mtime - theirs < self._stale_seconds


@contextmanager
def claimed(
    folder: Path,
    name: str,
    *,
    stale_seconds: float = STALE_SECONDS,
    on_lost: Callable[[], None] | None = None,
) -> Iterator[None]:
    """Hold the claim `name` in `folder`, once whoever holds it has released it or is gone.

    on_lost: called, in a thread, when this process stood still for so long that another has taken
    over. By default the process ends at once: it must not write another byte where that one writes.
    """
    claims = Claims(folder, stale_seconds=stale_seconds)
    ended = threading.Event()
    held = threading.Event()

    def beat() -> None:
        while not ended.wait(min(HEARTBEAT_SECONDS, stale_seconds / 4)):
            with contextlib.suppress(OSError):  # a full disk; the next beat may succeed
                claims.beat({"claim": name})
            if held.is_set() and not claims.holds(name) and not ended.is_set():
                (on_lost or _end_at_once)()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        while not claims.take(name):
            time.sleep(WAIT_SECONDS)
        held.set()
        yield
    finally:
        ended.set()
        thread.join()
        claims.release(name)
        claims.forget()


def _end_at_once() -> None:
    print("this process stood still and another took its work over; ending", file=sys.stderr)
    sys.stderr.flush()
    os._exit(1)


def sessions_in(folder: Path) -> list[dict[str, Any]]:
    """The last news of every worker that ever worked in `folder`; `alive` says whether it does.

    Ages are taken from this machine's clock.
    """
    found = [read_json(path) | {"alive": False} for path in (folder / "sessions").glob("*.json")]
    for path in (folder / "workers").glob("*.json"):
        with contextlib.suppress(FileNotFoundError):
            state, age = read_json(path), time.time() - path.stat().st_mtime
            found.append(state | {"alive": age < STALE_SECONDS and not _is_gone(state)})
    return sorted(found, key=lambda one: (one["started"], one["worker"]))


def busy_seconds(sessions: Iterable[dict[str, Any]]) -> float:
    """Seconds in which at least one session was asking: what the servers were taken for."""
    spans = sorted(
        (one["started"], one["started"] + one["seconds"]) for one in sessions if one.get("requests")
    )
    total, until = 0.0, 0.0
    for start, end in spans:
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def _is_gone(state: dict[str, Any]) -> bool:
    """Whether the process of a heartbeat was on this machine and is not any more."""
    return state.get("host") == socket.gethostname() and not process_exists(int(state["pid"]))
