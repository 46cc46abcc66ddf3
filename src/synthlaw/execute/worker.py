"""A worker process: reads jobs from standard input, does them, reports on its output.

Its arguments are folders where its parent finds modules, and so it finds them too.

    in    one job per line, see `base.as_json`
    out   {"event": "progress", "amount": x} · what `base.do_job` returns

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
from typing import Any, TextIO

from synthlaw.execute.base import do_job

REPORT_EVERY_SECONDS = 0.25


def _read_jobs(stream: TextIO, jobs: queue.Queue[str]) -> None:
    for line in stream:
        jobs.put(line)
    os._exit(0)


class _Reporter:
    """Sends events; gathers progress so that the parent is not flooded."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._amount, self._last = 0.0, 0.0

    def send(self, event: dict[str, Any]) -> None:
        self._stream.write(json.dumps(event) + "\n")
        self._stream.flush()

    def progress(self, amount: float) -> None:
        self._amount += amount
        if time.monotonic() - self._last >= REPORT_EVERY_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._amount:
            self.send({"event": "progress", "amount": self._amount})
        self._amount, self._last = 0.0, time.monotonic()


def main() -> None:
    """Serve jobs until the input closes."""
    sys.path += [path for path in sys.argv[1:] if path not in sys.path]
    # Nothing but events may reach the parent's pipe, whatever a C library prints.
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    reporter = _Reporter(events)
    jobs: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read_jobs, args=(sys.stdin, jobs), daemon=True).start()
    while True:
        job = json.loads(jobs.get())
        outcome = do_job(job["function"], job["payload"], reporter.progress)
        reporter.flush()
        reporter.send(outcome)
        if outcome["event"] == "interrupted":
            sys.exit(outcome["status"])  # who asked us to stop gives us no other job


if __name__ == "__main__":
    main()
