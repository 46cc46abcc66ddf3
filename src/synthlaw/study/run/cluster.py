"""Executors for clusters: Ray for many small runs, Slurm through submitit for a scheduler's queue.

Both need the study folder on a filesystem that every machine sees. A task travels as JSON; on the
other side `runs.execute` finds what is finished and resumes what was interrupted, so a task that a
scheduler restarts, or hands to another machine, does nothing twice.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from synthlaw.common.errors import MissingExtraError, SynthlawError
from synthlaw.study.run.execute import execute
from synthlaw.study.run.local import Failure, OnDone, OnProgress
from synthlaw.study.run.task import RunTask
from synthlaw.training.precision import PrecisionRecord, PrecisionRequest, settle_json

POLL_SECONDS = 1.0


def execute_json(text: str) -> list[str]:
    """`runs.execute` for a task that travelled as JSON; runs on the other machine."""
    return execute(RunTask.model_validate_json(text), lambda flops: None)


class RayExecutor:
    """Tasks on a Ray cluster: the one that RAY_ADDRESS names, else one started on this machine."""

    def __init__(self, threads: int, gpus: int | None = None) -> None:
        """threads, gpus: what Ray sets aside for each run. Raises MissingExtraError."""
        try:
            import ray
        except ImportError:
            raise MissingExtraError("ray", "ray", "the executor 'ray'") from None
        self._ray: Any = ray
        self._needs = {"num_cpus": threads * (gpus or 1), "num_gpus": gpus or 0}

    def run(
        self, tasks: Iterable[RunTask], on_progress: OnProgress, on_done: OnDone
    ) -> list[Failure]:
        """See `executors.Executor.run`; the largest tasks are queued first."""
        ray = self._ray
        failures: list[Failure] = []
        with self._session():
            remote = ray.remote(**self._needs, max_retries=2)(execute_json)
            ordered = sorted(tasks, key=lambda task: -task.flops)
            waiting = {remote.remote(task.model_dump_json()): task for task in ordered}
            while waiting:
                ready, _ = ray.wait(list(waiting), num_returns=1)
                task = waiting.pop(ready[0])
                _settle(task, partial(ray.get, ready[0]), on_progress, on_done, failures)
        return failures

    def settle(self, request: PrecisionRequest, root: Path) -> PrecisionRecord:
        """See `Executor.settle`."""
        ray = self._ray
        with self._session():
            remote = ray.remote(**self._needs, max_retries=2)(settle_json)
            made = remote.remote(request.model_dump_json())
            return _settled(partial(ray.get, made))

    @contextmanager
    def _session(self) -> Iterator[None]:
        """A connection to the cluster, ended if it was made for this."""
        began_here = not self._ray.is_initialized()
        if began_here:
            self._ray.init(log_to_driver=False, include_dashboard=False)
        try:
            yield
        finally:
            if began_here:
                self._ray.shutdown()


class SlurmExecutor:
    """One job of a Slurm array per task, through submitit; logs lie in `<study>/slurm`.

    options: for sbatch, such as partition, time, gres, mem, array_parallelism. cluster: 'slurm', or
    'local' for processes on this machine that stand in for a cluster.
    """

    def __init__(
        self,
        threads: int,
        options: Mapping[str, str | int],
        cluster: str = "slurm",
        gpus: int | None = None,
    ) -> None:
        """Raises MissingExtraError when submitit is not installed."""
        try:
            import submitit
        except ImportError:
            raise MissingExtraError("submitit", "slurm", "the executor 'slurm'") from None
        self._submitit: Any = submitit
        self._threads, self._cluster = threads * (gpus or 1), cluster
        self._options = {**({"gpus_per_node": gpus} if gpus else {}), **options}

    def run(
        self, tasks: Iterable[RunTask], on_progress: OnProgress, on_done: OnDone
    ) -> list[Failure]:
        """See `executors.Executor.run`. Jobs are cancelled when this process is interrupted."""
        ordered = sorted(tasks, key=lambda task: -task.flops)
        if not ordered:
            return []
        executor = self._executor(ordered[0].root)
        jobs = executor.map_array(execute_json, [task.model_dump_json() for task in ordered])
        waiting = dict(zip(jobs, ordered, strict=True))
        failures: list[Failure] = []
        try:
            while waiting:
                for job in [job for job in waiting if job.done()]:
                    _settle(waiting.pop(job), job.result, on_progress, on_done, failures)
                time.sleep(POLL_SECONDS)
        finally:
            for job in waiting:
                job.cancel()
        return failures

    def settle(self, request: PrecisionRequest, root: Path) -> PrecisionRecord:
        """See `Executor.settle`."""
        job = self._executor(root).submit(settle_json, request.model_dump_json())
        return _settled(job.result)

    def _executor(self, root: Path) -> Any:
        executor = self._submitit.AutoExecutor(folder=root / "slurm", cluster=self._cluster)
        if self._cluster == "slurm":
            options = {f"slurm_{name}": value for name, value in self._options.items()}
            executor.update_parameters(cpus_per_task=self._threads, **options)
        else:
            executor.update_parameters(timeout_min=60)
        return executor


def _settle(
    task: RunTask,
    result: Callable[[], list[str]],
    on_progress: OnProgress,
    on_done: OnDone,
    failures: list[Failure],
) -> None:
    """Report a task that ended; whatever went wrong on the other side becomes a failure."""
    try:
        made = result()
    except Exception as error:
        failures.append(Failure(task.name, _reason(error)))
        return
    on_progress(task.flops)
    on_done(task, made)


def _settled(result: Callable[[], str]) -> PrecisionRecord:
    """What a worker's machine settled. Raises SynthlawError when it could not."""
    try:
        return PrecisionRecord.model_validate_json(result())
    except Exception as error:
        raise SynthlawError(f"precision: no worker could settle it: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The line that says what went wrong; Ray and submitit wrap it in their own tracebacks."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"[\w.]+(?:Error|Exception)\b", line)]
    return (named or lines or [type(error).__name__])[-1]
