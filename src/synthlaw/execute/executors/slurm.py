"""The executor `slurm`: job arrays in a Slurm queue.

The folder must be on a filesystem that every machine sees. Jobs travel as JSON in files, and so do
their outcomes; Slurm itself is only asked what is still in its queue. A driver that was killed is
started again without harm: it waits for what the one before submitted and submits the rest.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.files import write_text
from synthlaw.common.progress import say
from synthlaw.execute.base import (
    DRIVER,
    ClosingExecutor,
    ExecutorSettings,
    Failure,
    Json,
    Report,
    as_json,
    by_ctrl_c,
)
from synthlaw.execute.feed import Feed, Job
from synthlaw.execute.slurm import client
from synthlaw.execute.slurm.arrays import ARRAYS, JobArray
from synthlaw.execute.slurm.client import Element, SlurmError
from synthlaw.execute.slurm.driver import submit_driver
from synthlaw.execute.slurm.live import live_jobs
from synthlaw.execute.slurm.options import request_of
from synthlaw.execute.slurm.work import Work

__all__ = ["SlurmExecutor", "live_jobs", "make"]

POLL_SECONDS, POLL_AT_MOST = 1.0, 10.0
GRACE_SECONDS = 5.0
"""After a job has left the queue: until then its outcome may still be on its way over the network's
filesystem."""

MOST_AT_ONCE = 10_000
"""Jobs that are submitted and not settled; also what may wait for an older one, in order."""

TELL_SECONDS = 30.0
GONE_BACK = ("TIMEOUT", "PREEMPTED", "NODE_FAIL", "REQUEUED")
"""Last states of jobs that did nothing wrong."""


def make(settings: ExecutorSettings) -> SlurmExecutor:
    """See `registry`."""
    if settings.folder is None:
        raise UsageError("executor 'slurm': needs a folder on a filesystem that all machines see")
    return SlurmExecutor(settings)


@dataclass
class _Waiting:
    """Jobs of one `map` that Slurm has. gone: when an element was first missing in the queue.

    failed: arrays whose logs may be wanted.
    """

    jobs: dict[tuple[Element, int], Job] = field(default_factory=dict)
    arrays: dict[str, JobArray] = field(default_factory=dict)
    gone: dict[Element, float] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def names(self) -> set[str]:
        """Arrays that are waited for."""
        return {element[0] for element, _ in self.jobs}

    def by_element(self) -> dict[Element, list[int]]:
        """Places of jobs that are waited for, rising, by element."""
        found: dict[Element, list[int]] = {}
        for element, place in sorted(self.jobs):
            found.setdefault(element, []).append(place)
        return found


class SlurmExecutor(ClosingExecutor):
    """Arrays of jobs; see `ExecutorSettings` and `slurm.options`."""

    elsewhere = True

    def __init__(self, settings: ExecutorSettings) -> None:
        """Raises UsageError for options that sbatch would misread."""
        assert settings.folder is not None
        self._home = settings.folder / ARRAYS
        self._settings = settings
        self._requests = {
            kind: request_of(settings.of_kind(kind)) for kind in ["", *settings.kinds]
        }
        self._patience = settings.patience
        self._live: list[_Waiting] = []
        self._told = 0.0

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Leave what a `map` that was broken off has in the queue, or cancel it on Ctrl-C."""
        for waiting in list(self._live):
            self._leave(waiting, cancel=by_ctrl_c(error))
        self.close()

    def check(self) -> None:
        """Let Slurm judge the options. Raises UsageError with its own words."""
        client.check_commands()
        with TemporaryDirectory(prefix="synthlaw-") as aside:
            array = JobArray.create(Path(aside), [[]])
            for kind, request in self._requests.items():
                where = f"execution.resources.{kind}" if kind else "execution.slurm"
                script = self._script(array, kind)
                client.try_submission(script, [*request.flags, "--array=0"], where)

    def detach(self, command: Sequence[str], folder: Path) -> str:
        """Submit the driver as a job."""
        assert self._settings.folder is not None
        return submit_driver(self._settings.folder, command, self._requests[DRIVER])

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
        """See `Executor.map`; work is told of when it is done.

        Ctrl-C cancels its jobs; whatever else ends it leaves them in the queue, where the next
        start finds them. Raises SynthlawError when nothing can be submitted.
        """
        window = MOST_AT_ONCE if ordered else None
        feed = Feed(
            payloads,
            on_progress=on_progress,
            seconds=seconds,
            window=window,
            patience=self._patience,
        )
        waiting = _Waiting()
        self._live.append(waiting)
        size, work = client.max_array(), Work(function, seconds, kind)
        known = self._queued()
        pause = POLL_SECONDS
        try:
            while True:
                self._submit_all(feed, waiting, known, work, size)
                if not feed.out:
                    break
                before = feed.out
                self._look(feed, waiting)
                yield from feed.drain()
                pause = POLL_SECONDS if feed.out < before else min(pause * 1.2, POLL_AT_MOST)
                if feed.out == before:
                    time.sleep(pause)
        except GeneratorExit:
            raise  # by what, `__exit__` will know
        except BaseException as error:
            self._leave(waiting, cancel=by_ctrl_c(error))
            raise
        self._live.remove(waiting)
        for array in waiting.arrays.values():
            if array.name not in waiting.failed:
                array.remove()

    def _queued(self) -> dict[str, tuple[JobArray, int, int]]:
        """What earlier drivers left in the queue, by its line. What ended is removed."""
        arrays = JobArray.all_in(self._home)
        queue = client.states(array.name for array in arrays) if arrays else {}
        known = {}
        for array in arrays:
            elements = [element for name, element in queue if name == array.name]
            for element in elements if not array.cancelled else ():
                for place, line in enumerate(array.lines(element)):
                    known[line] = (array, element, place)
            if not elements:
                array.remove()
        return known

    def _submit_all(
        self,
        feed: Feed,
        waiting: _Waiting,
        known: dict[str, tuple[JobArray, int, int]],
        work: Work,
        size: int,
    ) -> None:
        """Submit what may start now, but for what is in the queue already."""
        fresh: dict[str, list[Job]] = {}
        adopted = 0
        limited = any(request.at_once is not None for request in self._requests.values())
        if limited and waiting.jobs:
            return  # the limit is one array's, so there is one array at a time
        limit = min(MOST_AT_ONCE, size) if limited else MOST_AT_ONCE
        while feed.out < limit and (job := feed.take()) is not None:
            found = known.pop(as_json(work.function, job.payload), None)
            if found is None:
                fresh.setdefault(work.kind_of(job), []).append(job)
            else:
                array, element, place = found
                job.deaths, job.interruptions = array.tries.get((element, place), (0, 0))
                waiting.arrays[array.name] = array
                waiting.jobs[(array.name, element), place] = job
                adopted += 1
        if adopted:
            say(f"  slurm: {adopted} jobs of an earlier start are in the queue; waiting for them")
        batches = {kind: work.batches(jobs) for kind, jobs in fresh.items()}
        chunks = [
            (kind, listed[start : start + size])
            for kind, listed in batches.items()
            for start in range(0, len(listed), size)
        ]
        while chunks:
            if limited and waiting.jobs:
                break
            try:
                self._submit(waiting, chunks[0][1], work.function, chunks[0][0])
            except SlurmError as error:
                if not waiting.jobs:
                    raise SynthlawError(f"slurm: {error}") from None
                # A queue may be full for a user; room comes as jobs end.
                self._tell(f"  slurm: {error}; trying again")
                break
            del chunks[0]
        for job in (job for _, chunk in chunks for batch in chunk for job in batch):
            feed.put_back(job)

    def _submit(
        self, waiting: _Waiting, batches: Sequence[Sequence[Job]], function: str, kind: str
    ) -> None:
        request = self._requests[kind if kind in self._requests else ""]
        lines = [[as_json(function, job.payload) for job in batch] for batch in batches]
        array = JobArray.create(self._home, lines)
        span = f"--array=0-{len(batches) - 1}" + (f"%{request.at_once}" if request.at_once else "")
        try:
            number = client.submit(
                self._script(array, kind), [*request.flags, *array.names(), span]
            )
        except SlurmError:
            array.remove()
            raise
        array.note_number(number)
        array.note_tries(
            {
                (element, place): (job.deaths, job.interruptions)
                for element, batch in enumerate(batches)
                for place, job in enumerate(batch)
            }
        )
        waiting.arrays[array.name] = array
        for element, batch in enumerate(batches):
            for place, job in enumerate(batch):
                waiting.jobs[(array.name, element), place] = job
        total = sum(map(len, batches))
        of_kind = f" of {kind}" if kind in self._settings.kinds else ""
        say(
            f"  slurm: {total} tasks{of_kind} in {len(batches)} jobs, array {number}; "
            f"{array.folder}/logs"
        )

    def _script(self, array: JobArray, kind: str) -> Path:
        request = self._requests[kind if kind in self._requests else ""]
        limits = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
        command = [sys.executable, "-m", "synthlaw.execute.slurm.worker", str(array.folder)]
        lines = [
            "#!/bin/bash",
            *request.setup,
            *(f"export {name}={self._settings.of_kind(kind).threads}" for name in limits),
            f"exec {shlex.join(command)}",
        ]
        path = array.folder / "script.sh"
        write_text(path, "\n".join(lines) + "\n")
        return path

    def _look(self, feed: Feed, waiting: _Waiting) -> None:
        """Settle what has an outcome, and what left the queue without one."""
        try:
            queue = client.states(waiting.names())
        except SlurmError as error:
            self._tell(f"  slurm: {error}; asking again")
            return
        counts = Counter(queue.values())
        listed = ", ".join(f"{count} {state.lower()}" for state, count in counts.most_common())
        self._tell(f"  slurm: {listed or 'nothing in the queue'}")
        for name in waiting.names():
            self._take_outcomes(feed, waiting, waiting.arrays[name])
        for element, places in waiting.by_element().items():
            if element in queue:
                waiting.gone.pop(element, None)
                continue
            since = waiting.gone.setdefault(element, time.monotonic())
            if time.monotonic() - since >= GRACE_SECONDS:
                _end_element(feed, waiting, element, places)

    def _take_outcomes(self, feed: Feed, waiting: _Waiting, array: JobArray) -> None:
        for element, place in array.outcomes():
            job = waiting.jobs.get(((array.name, element), place))
            outcome = array.outcome(element, place) if job is not None else None
            if job is None or outcome is None or outcome["event"] == "interrupted":
                continue  # the last may be taken up again by Slurm
            del waiting.jobs[(array.name, element), place]
            feed.progress(job, outcome["amount"])
            feed.outcome(job, outcome)
            if outcome["event"] == "failed":
                waiting.failed.add(array.name)

    def _tell(self, news: str) -> None:
        if time.monotonic() - self._told >= TELL_SECONDS:
            self._told = time.monotonic()
            say(news)

    def _leave(self, waiting: _Waiting, *, cancel: bool) -> None:
        """End a `map` whose jobs are not all done."""
        if waiting not in self._live:
            return
        self._live.remove(waiting)
        names = waiting.names()
        if not names:
            return
        if not cancel:
            say(
                f"  slurm: {len(waiting.jobs)} tasks stay in the queue; run again to wait for "
                f"them, or give them up: scancel --name={','.join(sorted(names))}"
            )
            return
        for name in names:
            waiting.arrays[name].note_cancelled()
        try:
            client.cancel(names)
            say(
                f"  slurm: cancelled {len(waiting.jobs)} tasks; what they saved is kept. To leave "
                "tasks in the queue, end the driver by `kill`, or close its terminal"
            )
        except SlurmError as error:
            say(f"  slurm: {error}; jobs named {', '.join(sorted(names))} may still be there")


def _end_element(feed: Feed, waiting: _Waiting, element: Element, places: list[int]) -> None:
    """What becomes of jobs whose array element is gone and left no outcome of theirs.

    The first was under way and the others had not begun. They go back to the queue, unless the
    first died too often, or somebody cancelled the element.
    """
    array = waiting.arrays[element[0]]
    waiting.failed.add(array.name)
    began = array.began(element[1])
    state = client.last_state(array.number, element[1], began) if array.number else ""
    last = array.last_line(element[1])
    why = f"Slurm job {array.number}_{element[1]} ended {state or 'without a trace'}"
    why += f"; last output: {last}" if last else ""
    for place in places:
        job = waiting.jobs.pop((element, place))
        outcome = array.outcome(element[1], place)
        if state == "CANCELLED":
            feed.settle(job, Failure(f"Slurm job {array.number}_{element[1]} was cancelled"))
        elif outcome is not None and outcome["event"] == "interrupted":
            feed.interrupted(job, str(outcome["message"]))
        elif place != places[0]:
            feed.put_back(job)
        elif state in GONE_BACK:
            feed.interrupted(job, why)
        else:
            feed.died(job, why)
    waiting.gone.pop(element, None)
