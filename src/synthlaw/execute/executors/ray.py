"""The executor `ray`: tasks on a Ray cluster."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from synthlaw.common.errors import MissingExtraError, SynthlawError, UsageError
from synthlaw.execute.base import (
    ClosingExecutor,
    ExecutorSettings,
    Failure,
    Json,
    Report,
    as_json,
    do_job_counting,
)
from synthlaw.execute.feed import Feed, Job

MOST_AT_ONCE = 10_000
"""Tasks that Ray has at a time; also what may wait for an older one, in order."""

ANSWER_SECONDS = 10.0
"""What a cluster's machine is given to answer."""

USUAL = ExecutorSettings()

QUIET = {
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # a C++ stack for every SIGTERM
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # on standard output, the log of every node that is lost
}
"""Environment of the driver, where it says nothing else: what fails is in the jobs' outcomes."""


def make(settings: ExecutorSettings) -> RayExecutor:
    """See `registry`."""
    settings.check_one_machine("ray")
    return RayExecutor(settings)


def do_line(line: str, path: list[str]) -> str:
    """Do a job that travelled as JSON. path: where its driver finds modules."""
    sys.path += [place for place in path if place not in sys.path]
    job = json.loads(line)
    return json.dumps(do_job_counting(job["function"], job["payload"]))


class RayExecutor(ClosingExecutor):
    """Jobs on the cluster that RAY_ADDRESS names, else on a Ray started on this machine.

    Files that jobs share must be on a filesystem that every node sees, under the same path.
    """

    elsewhere = True

    def __init__(self, settings: ExecutorSettings = USUAL) -> None:
        """Ray sets threads and GPUs aside for each job. Raises MissingExtraError."""
        for name, value in QUIET.items():  # read when Ray is imported
            os.environ.setdefault(name, value)
        try:
            import ray
        except ImportError:
            raise MissingExtraError("ray", "ray", "the executor 'ray'") from None
        self._ray: Any = ray
        self._settings, self._patience = settings, settings.patience
        self._remotes: dict[str, Any] = {}
        self._began_here = False

    def map(
        self,
        function: str,
        payloads: Iterable[Json],
        *,
        on_progress: Report | None = None,
        seconds: Callable[[Json], float] | None = None,
        kind: Callable[[Json], str] | None = None,
        ordered: bool = False,
    ) -> Iterator[tuple[int, Json | Failure]]:
        """See `Executor.map`; work is told of when it is done. A task whose worker or node dies is
        tried again by Ray. Raises SynthlawError when the cluster cannot be reached.
        """
        self._connect()
        window = MOST_AT_ONCE if ordered else None
        feed = Feed(
            payloads,
            on_progress=on_progress,
            seconds=seconds,
            window=window,
            patience=self._patience,
        )
        path = [place for place in sys.path if place]
        waiting: dict[Any, Job] = {}
        try:
            while True:
                while feed.out < MOST_AT_ONCE and (job := feed.take()) is not None:
                    line = as_json(function, job.payload)
                    remote = self._remote(kind(job.payload) if kind else "")
                    waiting[remote.remote(line, path)] = job
                if not waiting:
                    return
                ready, _ = self._ray.wait(list(waiting), num_returns=1)
                self._settle(feed, waiting.pop(ready[0]), ready[0])
                yield from feed.drain()
        finally:
            for reference in waiting:
                self._ray.cancel(reference)

    def _remote(self, kind: str) -> Any:
        """`do_line` with what jobs of a kind have, made once for each."""
        if kind in self._remotes:
            return self._remotes[kind]
        wanted = self._settings.of_kind(kind)
        self._remotes[kind] = self._ray.remote(
            num_cpus=wanted.threads * (wanted.gpus or 1),
            num_gpus=wanted.gpus or 0,
            max_retries=self._patience.attempts - 1,
        )(do_line)
        return self._remotes[kind]

    def check(self) -> None:
        """Ask for the cluster that RAY_ADDRESS names. Raises UsageError when there is none."""
        _require_answer(os.environ.get("RAY_ADDRESS", ""))

    def close(self) -> None:
        """End the Ray that was started here; leave another's cluster as it is."""
        if self._began_here:
            self._ray.shutdown()
            self._began_here = False

    def _connect(self) -> None:
        if self._ray.is_initialized():
            return
        self.check()
        before = signal.getsignal(signal.SIGTERM)
        try:
            self._ray.init(
                log_to_driver=False, include_dashboard=False, logging_level=logging.CRITICAL
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise SynthlawError(f"ray: {_reason(error)}") from None
        self._began_here = True
        # Ray puts a handler of its own in the place of ours, which says how to go on.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)

    def _settle(self, feed: Feed, job: Job, reference: Any) -> None:
        try:
            outcome = json.loads(self._ray.get(reference))
        except (self._ray.exceptions.RayError, ValueError) as error:
            feed.settle(job, Failure(_reason(error)))
            return
        feed.progress(job, outcome["amount"])
        feed.outcome(job, outcome)


def _require_answer(address: str) -> None:
    """Raise UsageError unless something answers at the address of a cluster.

    Ray itself tries for a quarter of an hour, a line of its log every second.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host:
        return  # none, or a word such as "auto", which Ray looks up
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"ray: found no cluster at RAY_ADDRESS={address} ({error}); expected HOST:PORT as "
            "`ray start --head` says it, or no RAY_ADDRESS for a Ray started here"
        ) from None


def _reason(error: Exception) -> str:
    """The line that says what went wrong; Ray wraps it in tracebacks."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"[\w.]+(?:Error|Exception)\b", line)]
    return (named or lines or [type(error).__name__])[-1]
