"""Executors: where the runs of a grid are executed. `local`: worker processes on this machine."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from synthlaw.common.errors import UsageError
from synthlaw.common.machine import usable_cores
from synthlaw.study.run.task import RunTask
from synthlaw.training.precision import PrecisionRecord, PrecisionRequest, settle_here

SAVE_SECONDS = 20.0
"""What interrupted workers are given to finish a step and save."""

OnProgress = Callable[[float], None]
OnDone = Callable[[RunTask, list[str]], None]


@dataclass(frozen=True)
class Failure:
    """A run that could not be executed, and why."""

    run: str
    message: str


class Executor(Protocol):
    """Executes tasks; returns the failures. Other tasks go on when one fails."""

    def run(
        self, tasks: Iterable[RunTask], on_progress: OnProgress, on_done: OnDone
    ) -> list[Failure]:
        """Execute every task. `on_progress` is given FLOPs as they are spent."""
        ...

    def settle(self, request: PrecisionRequest, root: Path) -> PrecisionRecord:
        """`settle_precision` on a machine that tasks of the study in `root` are executed on.

        Raises SynthlawError when none can be asked.
        """
        ...


@dataclass
class _Worker:
    """A live worker process and the task that it is busy with."""

    process: subprocess.Popen[str]
    slot: int
    task: RunTask | None = None
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=20))

    def give(self, task: RunTask) -> None:
        self.task = task
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(task.model_dump_json() + "\n")
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


def default_workers(workers: int | None, threads: int) -> int:
    """How many runs at once: as asked, else as many as the cores carry."""
    return workers or max(1, usable_cores() // threads)


def visible_gpus() -> list[str]:
    """Names of this machine's GPUs that we may use, as CUDA_VISIBLE_DEVICES writes them."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name.strip()]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=index", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    return done.stdout.split() if done.returncode == 0 else []


class LocalExecutor:
    """`workers` processes with `threads` CPU threads each, on this machine.

    gpus: what each run trains on. A worker then sees GPUs of its own; where there are none, its
    processes share the CPU.
    """

    def __init__(self, workers: int | None, threads: int, gpus: int | None = None) -> None:
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

    def run(
        self, tasks: Iterable[RunTask], on_progress: OnProgress, on_done: OnDone
    ) -> list[Failure]:
        """See `Executor.run`. The largest tasks go first, which keeps all workers busy longest."""
        waiting = deque(sorted(tasks, key=lambda task: -task.flops))
        events: queue.Queue[tuple[_Worker, dict[str, Any] | None]] = queue.Queue()
        failures: list[Failure] = []
        live: list[_Worker] = []
        try:
            for slot in range(min(self.workers, len(waiting))):
                live.append(self._start(events, slot))
                live[-1].give(waiting.popleft())
            while any(worker.task is not None for worker in live):
                worker, event = events.get()
                if event is not None and event["event"] == "progress":
                    on_progress(event["flops"])
                    continue
                task, worker.task = worker.task, None
                if task is None:
                    continue
                if event is None:
                    failures.append(Failure(task.name, worker.why_it_died()))
                    live.remove(worker)
                    worker = self._start(events, worker.slot)
                    live.append(worker)
                elif event["event"] == "failed":
                    failures.append(Failure(task.name, event["message"]))
                else:
                    on_done(task, event["made"])
                if waiting:
                    worker.give(waiting.popleft())
        finally:
            _end(worker.process for worker in live)
        return failures

    def settle(self, request: PrecisionRequest, root: Path) -> PrecisionRecord:
        """See `Executor.settle`."""
        return settle_here(request)

    def _start(
        self, events: queue.Queue[tuple[_Worker, dict[str, Any] | None]], slot: int
    ) -> _Worker:
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads)}
        environment["MKL_NUM_THREADS"] = str(self.threads)
        if self._shares:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(self._shares[slot])
        process = subprocess.Popen(
            [sys.executable, "-m", "synthlaw.study.run.local_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            process_group=0,  # Ctrl-C is for the parent, which ends its workers itself
        )
        worker = _Worker(process, slot)
        threading.Thread(target=_listen, args=(worker, events), daemon=True).start()
        threading.Thread(target=_keep_tail, args=(worker,), daemon=True).start()
        return worker


def _end(processes: Iterable[subprocess.Popen[str]]) -> None:
    """Ask workers to end, which saves a run in progress; kill those that do not in time."""
    asked = list(processes)
    for process in asked:
        process.terminate()
    until = time.monotonic() + SAVE_SECONDS
    for process in asked:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listen(worker: _Worker, events: queue.Queue[tuple[_Worker, dict[str, Any] | None]]) -> None:
    assert worker.process.stdout is not None
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
