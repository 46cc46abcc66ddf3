"""Jobs for the tests of datasets, which worker processes import by name."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.common.files import atomic_path
from synthlaw.common.parts import describe


def copy(task: dict[str, Any], out: Path, report: Callable[[float], None]) -> dict[str, Any]:
    """Write the task's text to a part; count the call beside it."""
    with (out / "calls").open("a") as stream:
        stream.write(task["name"] + "\n")
    if task.get("fault") == "bad" and not (out / "mended").exists():
        raise UsageError(f"{task['name']}: found nothing good")
    if task.get("fault") == "killed" and not (out / "mended").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    path = out / task["name"]
    with atomic_path(path) as aside:
        aside.write_text(task["text"])
    report(1)
    return {"parts": [describe(path, 1, len(task["text"])).as_json()]}
