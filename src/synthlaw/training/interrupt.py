"""SIGTERM, as schedulers send it before they take a machine away: finish the step, save, leave."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from synthlaw.common.errors import SynthlawError


class InterruptedRunError(SynthlawError):
    """A run was asked to stop and saved its state. Exit status 143, SIGTERM's own (128 + 15)."""

    exit_status = 128 + signal.SIGTERM


class StopRequest:
    """Whether SIGTERM came."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.came = True


@contextmanager
def stop_on_sigterm() -> Iterator[StopRequest]:
    """Note SIGTERM instead of dying from it; the former handler comes back afterwards.

    Only a process's main thread may do this: elsewhere the request never comes, and SIGTERM
    keeps whatever effect it had.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = signal.signal(signal.SIGTERM, request)
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, before)
