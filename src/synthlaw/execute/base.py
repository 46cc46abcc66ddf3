"""Jobs and executors: the one way in which work leaves a process.

A job is the dotted name of a function, "package.module:name", and a JSON value, its payload. The
function is called as `name(payload, report)` and returns a JSON value; `report(amount)` tells how
much of the work is done, in units that caller and function agree on. A job is idempotent: it may
be carried out again after a worker died or was asked to stop, so it finds what it finished and
resumes what it began. Bulk data does not travel: jobs read and write files and pass on names.

What is dear to make and needed by many jobs (a tokenizer, a model) belongs in a function of the
job's module under `functools.cache`: a worker does many jobs in one process.
"""

from __future__ import annotations

import json
import socket
import subprocess
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from synthlaw.common.errors import InterruptedWorkError, SynthlawError, UsageError

Json = Any
"""What `json` reads and writes."""

Report = Callable[[float], None]
"""Told amounts of work as they are done; a negative one takes back what must be done again."""

JobFunction = Callable[[Json, Report], Json]


DRIVER, DRIVER_LOG = "driver", "driver.log"
"""The kind of job that a detached driver is, and its output where it is a process."""


@dataclass(frozen=True)
class Failure:
    """A job that could not be done, and why. status: the exit status of its error, 1 or 2."""

    message: str
    status: int = 1

    def error(self) -> SynthlawError:
        """The failure as the exception that the job raised, by its exit status."""
        kind = UsageError if self.status == UsageError.exit_status else SynthlawError
        return kind(self.message)


@dataclass(frozen=True)
class Patience:
    """How often a job is given out again before it counts as failed.

    attempts: starts of a job whose worker dies under it. interruptions: times that a job which was
    asked to stop, and saved its state, is taken up.
    """

    attempts: int = 3
    interruptions: int = 50


USUAL_PATIENCE = Patience()


@dataclass(frozen=True)
class ExecutorSettings:
    """What executors are made of; each takes what concerns it.

    workers: jobs at once, by default as many as the machine carries. threads: CPU threads of each
    job. nodes: machines of each job. gpus: GPUs of each job on each of them, None for as many as
    options say, 0 for none. folder: on the filesystem that all machines share, for what an executor
    keeps. options: of the executor itself, such as sbatch's. patience: with jobs that are lost.
    kinds: what jobs of a kind (see `Executor.map`) have instead: threads, gpus, nodes and options.
    """

    workers: int | None = None
    threads: int = 1
    gpus: int | None = None
    nodes: int = 1
    folder: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    patience: Patience = USUAL_PATIENCE
    kinds: Mapping[str, ExecutorSettings] = field(default_factory=dict)

    def of_kind(self, kind: str) -> ExecutorSettings:
        """What jobs of a kind have."""
        return self.kinds.get(kind, self)

    def check_one_machine(self, executor: str) -> None:
        """Raise UsageError for jobs of several machines, where no scheduler starts them."""
        for kind, one in self.kinds.items():
            if one.nodes > 1:
                raise UsageError(
                    f"execution.resources.{kind}.nodes: found {one.nodes} with the executor "
                    f"'{executor}', whose runs have one machine each; expected 1, or --executor "
                    "slurm"
                )


class Executor(Protocol):
    """Carries out jobs; a context manager that ends its workers when it is left.

    elsewhere: whether it may use other machines than the one it is asked on. What is more than a
    moment's work is then left to it, since the asking machine may be a login node.
    """

    @property
    def elsewhere(self) -> bool: ...

    def check(self) -> None:
        """Raise UsageError when jobs could not be carried out at all, before work is begun."""
        ...

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
        """Call `function` with every payload; yields (number of the payload, result or Failure).

        Results come as they are done, or in the order of the payloads with `ordered`. Payloads are
        taken as they are needed and results are kept only until they are asked for, so neither
        memory grows with their number. on_progress: told what jobs report, at their end at the
        latest. seconds: expected time of a job by its payload; the longest go first, and a
        scheduler may be given short ones together. kind: name of what a job needs, by its payload
        (`ExecutorSettings.kinds`). Other jobs go on when one fails. Closing the
        iterator ends the jobs that are under way in this machine's processes; those that a
        scheduler has stay with it for the next caller, unless Ctrl-C asked to stop (`by_ctrl_c`).
        """
        ...

    def detach(self, command: Sequence[str], folder: Path) -> str:
        """Start a driver, `command`, that goes on without this process and its terminal.

        folder: the study's, for its output. Returns what was started and where its output goes.
        Raises UsageError when one is there already.
        """
        ...

    def close(self) -> None:
        """End the workers."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None: ...


class ClosingExecutor:
    """An executor's part as a context manager, and what most have in common."""

    elsewhere = False

    def check(self) -> None:
        """Nothing to check."""

    def detach(self, command: Sequence[str], folder: Path) -> str:
        """Start the driver on this machine, in a session of its own."""
        log = folder / DRIVER_LOG
        with log.open("ab") as stream:
            driver = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return f"process {driver.pid} on {socket.gethostname()}; output in {log}"

    def close(self) -> None:
        """Nothing to end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()


def by_ctrl_c(error: BaseException | None) -> bool:
    """Whether somebody at the keyboard asked to stop; a KeyboardInterrupt for another signal, such
    as a lost terminal's, carries the signal's number."""
    return isinstance(error, KeyboardInterrupt) and not error.args


def job_function(name: str) -> JobFunction:
    """The function of a dotted name, "package.module:name"."""
    module, _, attribute = name.partition(":")
    found: JobFunction = getattr(import_module(module), attribute)
    return found


def do_job(function: str, payload: Json, report: Report) -> dict[str, Json]:
    """Do one job; returns its outcome as JSON, whatever happens.

    {"event": "done", "result": …} · {"event": "failed", "message": …, "status": …} ·
    {"event": "interrupted", "message": …, "status": …}: it was asked to stop and saved its state
    """
    try:
        return {"event": "done", "result": job_function(function)(payload, report)}
    except InterruptedWorkError as error:
        return {"event": "interrupted", "message": str(error), "status": error.exit_status}
    except SynthlawError as error:
        return {"event": "failed", "message": str(error), "status": error.exit_status}
    except Exception as error:
        traceback.print_exc()
        return {"event": "failed", "message": f"{type(error).__name__}: {error}", "status": 1}


def do_job_counting(function: str, payload: Json) -> dict[str, Json]:
    """Do one job whose reports nobody hears: their sum joins the outcome as "amount"."""
    amounts: list[float] = []
    outcome = do_job(function, payload, amounts.append)
    return {**outcome, "amount": sum(amounts)}


def as_json(function: str, payload: Json) -> str:
    """A job as one line of JSON. NaN is refused, since not every reader knows it."""
    return json.dumps({"function": function, "payload": payload}, allow_nan=False)


def results_of(outcomes: Iterable[tuple[int, Json | Failure]]) -> Iterator[tuple[int, Json]]:
    """Results of jobs that must all succeed. Raises the first failure's error."""
    for number, result in outcomes:
        if isinstance(result, Failure):
            raise result.error()
        yield number, result


def do_one(executor: Executor, function: str, payload: Json, *, small: bool = False) -> Json:
    """Do a stage's only job: in this process, or on another machine where there are others.

    small: it is a moment's work, which no other machine is asked for. Raises the job's error.
    """
    if small or not executor.elsewhere:
        return job_function(function)(payload, lambda amount: None)
    ((_, result),) = results_of(executor.map(function, [payload]))
    return result
