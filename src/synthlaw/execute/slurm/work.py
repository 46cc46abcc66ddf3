"""What a `map` is asked for, and which of its jobs share a job of Slurm's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from synthlaw.execute.base import Json
from synthlaw.execute.feed import Job

BATCH_SECONDS = 60.0
"""Short work is done together by one job of about so many seconds: to start one, and import torch,
takes 9 CPU seconds."""


@dataclass(frozen=True)
class Work:
    """What a `map` was asked for; see `Executor.map`."""

    function: str
    seconds: Callable[[Json], float] | None
    kind: Callable[[Json], str] | None

    def kind_of(self, job: Job) -> str:
        """Name of what a job needs; '' for what most have."""
        return self.kind(job.payload) if self.kind is not None else ""

    def batches(self, jobs: Sequence[Job]) -> list[list[Job]]:
        """Jobs of one array element each: alone, or short ones together."""
        if self.seconds is None:
            return [[job] for job in jobs]
        batches: list[list[Job]] = []
        filled = BATCH_SECONDS
        for job in jobs:
            took = self.seconds(job.payload)
            if filled + took > BATCH_SECONDS:
                batches.append([])
                filled = 0.0
            batches[-1].append(job)
            filled += took
        return batches
