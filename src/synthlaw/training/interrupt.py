"""Signals to stop: finish the step, save, leave.

SIGTERM is what schedulers send before they take a machine away, SIGINT is Ctrl-C.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from synthlaw.common.errors import InterruptedWorkError


class InterruptedRunError(InterruptedWorkError):
    """A run was asked to stop and saved its state. Exit status 143 (SIGTERM) or 130 (Ctrl-C)."""

    def __init__(self, message: str, number: int = signal.SIGTERM) -> None:
        super().__init__(message, 128 + number)


class StopRequest:
    """Whether a signal to stop came, and which; a second Ctrl-C does not wait."""

    def __init__(self) -> None:
        self.came = False
        self.signal = signal.SIGTERM

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.came and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.came, self.signal = True, signal.Signals(number)


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Note SIGTERM and SIGINT instead of dying from them; the former handlers come back afterwards.

    Only a process's main thread may do this: elsewhere the request never comes, and signals
    keep whatever effect they had.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {n: signal.signal(n, request) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
