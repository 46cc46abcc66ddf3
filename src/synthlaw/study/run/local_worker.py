"""A worker process: reads run tasks from standard input, executes them, reports on its output.

    in    one JSON RunTask per line
    out   {"event": "progress", "flops": x} · {"event": "done", "made": [...]}
          · {"event": "failed", "message": "…", "status": 1 or 2}

When its input closes, the parent is gone (killed, perhaps) and the worker ends at once, so that
no orphan writes into a folder that a new run may hold. Its checkpoints stay.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
import traceback
from typing import Any, TextIO

from synthlaw.common.errors import SynthlawError
from synthlaw.study.run.execute import execute
from synthlaw.study.run.task import RunTask
from synthlaw.training.interrupt import InterruptedRunError

REPORT_EVERY_SECONDS = 0.25


def _read_tasks(stream: TextIO, tasks: queue.Queue[str]) -> None:
    for line in stream:
        tasks.put(line)
    os._exit(0)


class _Reporter:
    """Sends events; gathers progress so that the parent is not flooded."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._flops, self._last = 0.0, 0.0

    def send(self, **event: Any) -> None:
        self._stream.write(json.dumps(event) + "\n")
        self._stream.flush()

    def progress(self, flops: float) -> None:
        self._flops += flops
        if time.monotonic() - self._last >= REPORT_EVERY_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._flops:
            self.send(event="progress", flops=self._flops)
        self._flops, self._last = 0.0, time.monotonic()


def main() -> None:
    """Serve tasks until the input closes."""
    # Nothing but events may reach the parent's pipe, whatever a C library prints.
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    reporter = _Reporter(events)
    tasks: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read_tasks, args=(sys.stdin, tasks), daemon=True).start()
    while True:
        task = RunTask.model_validate_json(tasks.get())
        try:
            made = execute(task, reporter.progress)
            reporter.flush()
            reporter.send(event="done", made=made)
        except InterruptedRunError as error:
            sys.exit(error.exit_status)  # saved; who asked us to stop gives us no other task
        except SynthlawError as error:
            reporter.send(event="failed", message=str(error), status=error.exit_status)
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            message = f"{type(error).__name__}: {error}"
            reporter.send(event="failed", message=message, status=1)


if __name__ == "__main__":
    main()
