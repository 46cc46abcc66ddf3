"""Jobs for the tests of executors; workers import this module by name."""

from __future__ import annotations

import os
import signal
import time
from functools import cache
from pathlib import Path
from typing import Any

from synthlaw.common.errors import InterruptedWorkError, SynthlawError, UsageError
from synthlaw.execute.base import Report


def square(payload: Any, report: Report) -> int:
    report(1.0)
    return int(payload) ** 2


def slow_first(payload: Any, report: Report) -> int:
    """Payloads that are zero take longest."""
    time.sleep(0.5 if payload == 0 else 0.0)
    return int(payload)


def trouble(payload: Any, report: Report) -> str:
    """What the payload asks for."""
    if payload == "failed":
        raise SynthlawError("the disk is full")
    if payload == "usage":
        raise UsageError("found 3; expected 4")
    if payload == "bug":
        raise KeyError("missing")
    print("a C library's words on standard output")
    return str(payload)


def once(payload: Any, report: Report) -> str:
    """Dies or is interrupted when it is tried first; `payload` is [how, folder]."""
    how, folder = payload
    with (Path(folder) / "tries").open("a") as stream:
        stream.write("x")
    report(1.0)
    tries = len((Path(folder) / "tries").read_text())
    if how == "always killed" or (how == "killed" and tries == 1):
        time.sleep(0.3)  # what was reported is on its way
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "terminated" and tries == 1:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    if how == "interrupted" and tries == 1:
        raise InterruptedWorkError("stopped by SIGTERM", 143)
    return f"{tries} tries"


def sleep(payload: Any, report: Report) -> None:
    """Write our pid to a file and sleep for a minute."""
    Path(payload).write_text(str(os.getpid()))
    time.sleep(60)


@cache
def _dear(name: str) -> list[int]:
    return [os.getpid(), time.monotonic_ns()]


def warm(payload: Any, report: Report) -> list[int]:
    """What was made for the first job of this process."""
    return _dear("tokenizer")


def last_words(payload: Any, report: Report) -> None:
    """Say why, and end the process without an outcome."""
    print("no space left on device", flush=True)
    os._exit(3)


def wait(payload: Any, report: Report) -> int:
    """Note that the job began; wait for the file "go"; `payload` is [folder, number]."""
    folder, number = Path(payload[0]), int(payload[1])
    with (folder / f"began-{number}").open("a") as stream:
        stream.write("x")
    while not (folder / "go").exists():
        time.sleep(0.1)
    return number


def long_at_first(payload: Any, report: Report) -> str:
    """Sleep two minutes; after an interruption, go on from what it saved."""
    saved = Path(payload) / "saved"
    if not saved.exists():
        try:
            time.sleep(120)
        except InterruptedWorkError:
            saved.write_text("after SIGTERM")
            raise
    return f"went on {saved.read_text()}"
