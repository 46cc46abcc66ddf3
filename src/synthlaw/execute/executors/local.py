"""The executor `local`: worker processes on this machine."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from synthlaw.common.errors import UsageError
from synthlaw.execute.base import (
    USUAL_PATIENCE,
    ClosingExecutor,
    ExecutorSettings,
    Failure,
    Json,
    Patience,
    Report,
    as_json,
)
from synthlaw.execute.feed import Feed, Job
from synthlaw.execute.machine import default_workers, visible_gpus

SAVE_SECONDS = 20.0
"""What interrupted workers are given to finish a step and save."""

WINDOW = 4
"""Results of jobs per worker that may wait for an older one, when they are wanted in order."""


@dataclass
class _Worker:
    """A live worker process and the job that it is busy with."""

    process: subprocess.Popen[str]
    slot: int
    job: Job | None = None
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=20))

    def give(self, job: Job, function: str) -> None:
        self.job = job
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(as_json(function, job.payload) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return  # its end arrives as an event of its own

    def why_it_died(self) -> str:
        """What the exit status and the last lines of its log say."""
        status = self.process.wait()
        last = next((line for line in reversed(self.tail) if line.strip()), "no output")
        if status < 0:
            hint = " (out of memory is the usual reason)" if status == -9 else ""
            return f"worker killed by signal {-status}{hint}; last output: {last.strip()}"
        return f"worker ended with status {status}; last output: {last.strip()}"


_Event = tuple[_Worker, dict[str, Json] | None]
"""What a worker said; None: its output has ended."""


def make(settings: ExecutorSettings) -> LocalExecutor:
    """See `registry`."""
    settings.check_one_machine("local")
    kinds = {kind: one.gpus for kind, one in settings.kinds.items()}
    most = max((gpus or 0 for gpus in [settings.gpus, *kinds.values()]), default=0) or None
    return LocalExecutor(settings.workers, settings.threads, most, settings.patience)


class LocalExecutor(ClosingExecutor):
    """`workers` processes with `threads` CPU threads each, kept from one `map` to the next.

    gpus: what each job works on, the most of all kinds. A worker then sees GPUs of its own; where
    there are none, its processes share the CPU. Raises UsageError when there are some, and fewer
    than a job needs.
    """

    def __init__(
        self,
        workers: int | None = None,
        threads: int = 1,
        gpus: int | None = None,
        patience: Patience = USUAL_PATIENCE,
    ):
        self._patience = patience
        self.threads = threads
        seen = visible_gpus() if gpus else []
        if gpus and seen and len(seen) < gpus:
            raise UsageError(
                f"execution.gpus_per_run: found {gpus}; this machine has {len(seen)} GPUs"
            )
        self._shares = [seen[i : i + (gpus or 1)] for i in range(0, len(seen), gpus or 1)]
        self._shares = [share for share in self._shares if len(share) == gpus]
        wanted = default_workers(workers, threads * (gpus or 1))
        self.workers = min(workers or len(self._shares), len(self._shares)) if seen else wanted
        self._live: list[_Worker] = []
        self._events: queue.Queue[_Event] = queue.Queue()

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
        """See `Executor.map`. A job whose worker dies is tried again by another."""
        window = WINDOW * self.workers if ordered else None
        feed = Feed(
            payloads,
            on_progress=on_progress,
            seconds=seconds,
            window=window,
            patience=self._patience,
        )
        try:
            while True:
                self._give(feed, function)
                if not feed.out:
                    return
                self._hear(feed)
                yield from feed.drain()
        finally:
            self._end([worker for worker in self._live if worker.job is not None])

    def close(self) -> None:
        """End the workers, which are idle."""
        self._end(self._live)

    def _give(self, feed: Feed, function: str) -> None:
        """Start jobs while there are any and workers for them."""
        while len(self._busy()) < self.workers and (job := feed.take()) is not None:
            idle = next((worker for worker in self._live if worker.job is None), None)
            (idle or self._start()).give(job, function)

    def _hear(self, feed: Feed) -> None:
        """Wait for one event."""
        worker, event = self._events.get()
        job = worker.job
        if job is None:
            if event is None:  # it died idle
                self._live = [other for other in self._live if other is not worker]
        elif event is None:
            self._live.remove(worker)
            feed.died(job, worker.why_it_died())
        elif event["event"] == "progress":
            feed.progress(job, event["amount"])
        else:
            worker.job = None
            if event["event"] == "interrupted":
                self._live.remove(worker)  # it ends, since it was asked to
            feed.outcome(job, event)

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._live if worker.job is not None]

    def _start(self) -> _Worker:
        slot = min(set(range(self.workers)) - {worker.slot for worker in self._live})
        process = subprocess.Popen(
            [sys.executable, "-m", "synthlaw.execute.worker", *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=self._environment(slot),
            process_group=0,  # Ctrl-C is for the parent, which ends its workers itself
        )
        worker = _Worker(process, slot)
        self._live.append(worker)
        threading.Thread(target=_listen, args=(worker, self._events), daemon=True).start()
        threading.Thread(target=_keep_tail, args=(worker,), daemon=True).start()
        return worker

    def _environment(self, slot: int) -> dict[str, str]:
        """Threads of torch, numpy, Arrow (which reads OMP_NUM_THREADS) and tokenizers; GPUs."""
        threads = str(self.threads)
        limits = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
        found = {**os.environ, **dict.fromkeys(limits, threads)}
        if self._shares:
            found["CUDA_VISIBLE_DEVICES"] = ",".join(self._shares[slot])
        return found

    def _end(self, workers: list[_Worker]) -> None:
        """Ask workers to end, which saves a run in progress; kill those that do not in time."""
        gone = list(workers)
        self._live = [worker for worker in self._live if worker not in gone]
        for worker in gone:
            worker.job = None
            worker.process.terminate()
        until = time.monotonic() + SAVE_SECONDS
        for worker in gone:
            try:
                worker.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            assert worker.process.stdin is not None
            worker.process.stdin.close()


def _listen(worker: _Worker, events: queue.Queue[_Event]) -> None:
    assert worker.process.stdout is not None
    line = ""
    try:
        for line in worker.process.stdout:
            events.put((worker, json.loads(line)))
    except ValueError:
        worker.tail.append(f"said what is no event: {line.strip()}")
        worker.process.kill()
    finally:
        events.put((worker, None))


def _keep_tail(worker: _Worker) -> None:
    assert worker.process.stderr is not None
    for line in worker.process.stderr:
        worker.tail.append(line)
