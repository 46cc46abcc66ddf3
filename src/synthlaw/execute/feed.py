"""Payloads on their way to workers and results on their way back: order, bounds, attempts.

What all executors have in common, so that each says only how a job reaches a worker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from synthlaw.execute.base import USUAL_PATIENCE, Failure, Json, Patience, Report


@dataclass
class Job:
    """One payload on its way. reported: amount of work told since its last start."""

    number: int
    payload: Json
    deaths: int = 0
    interruptions: int = 0
    reported: float = 0.0


class Feed:
    """The jobs of one `Executor.map`."""

    def __init__(
        self,
        payloads: Iterable[Json],
        *,
        on_progress: Report | None,
        seconds: Callable[[Json], float] | None,
        window: int | None,
        patience: Patience = USUAL_PATIENCE,
    ) -> None:
        """seconds: the longest first. window: results come in the order of their payloads, and no
        job is given out that is so far ahead of the oldest result awaited; None: as they come.
        """
        jobs: Iterable[Job] = (Job(number, payload) for number, payload in enumerate(payloads))
        if seconds is not None and window is None:
            jobs = sorted(jobs, key=lambda job: -seconds(job.payload))
        self._jobs = iter(jobs)
        self._again: deque[Job] = deque()
        self._on_progress, self._window, self._patience = on_progress, window, patience
        self._next: Job | None = None
        self._results: dict[int, Json | Failure] = {}
        self._awaited = 0
        self.out = 0
        """Jobs that are given out and not settled."""

    def take(self) -> Job | None:
        """The next job to start; None when there is none, or none may start yet."""
        job = self._again.popleft() if self._again else self._fresh()
        if job is not None:
            self.out += 1
        return job

    def _fresh(self) -> Job | None:
        if self._next is None:
            self._next = next(self._jobs, None)
        job = self._next
        if job is None or (self._window and job.number >= self._awaited + self._window):
            return None
        self._next = None
        return job

    def progress(self, job: Job, amount: float) -> None:
        """Pass on what a job under way reports."""
        job.reported += amount
        if self._on_progress is not None:
            self._on_progress(amount)

    def settle(self, job: Job, result: Json | Failure) -> None:
        """Keep a job's result until it is drained."""
        self.out -= 1
        self._results[job.number] = result

    def died(self, job: Job, why: str) -> None:
        """A worker died under the job: it is tried again, or it failed."""
        job.deaths += 1
        if job.deaths < self._patience.attempts:
            self.put_back(job)
        else:
            self.settle(job, Failure(f"{why} ({job.deaths} attempts)"))

    def interrupted(self, job: Job, why: str) -> None:
        """The job was asked to stop and saved its state: it goes on from there."""
        job.interruptions += 1
        if job.interruptions < self._patience.interruptions:
            self.put_back(job)
        else:
            self.settle(job, Failure(f"{why} ({job.interruptions} times)"))

    def outcome(self, job: Job, event: dict[str, Json]) -> None:
        """Take what `base.do_job` returned."""
        if event["event"] == "done":
            self.settle(job, event["result"])
        elif event["event"] == "failed":
            self.settle(job, Failure(event["message"], event["status"]))
        else:
            self.interrupted(job, event["message"])

    def drain(self) -> Iterator[tuple[int, Json | Failure]]:
        """Results that may be given to the caller now."""
        if self._window is None:
            while self._results:
                number = next(iter(self._results))
                yield number, self._results.pop(number)
        else:
            while self._awaited in self._results:
                result = self._results.pop(self._awaited)
                self._awaited += 1
                yield self._awaited - 1, result

    def put_back(self, job: Job) -> None:
        """The job is to be given out again; it did nothing wrong."""
        self.out -= 1
        if job.reported:
            self.progress(job, -job.reported)
        self._again.append(job)
