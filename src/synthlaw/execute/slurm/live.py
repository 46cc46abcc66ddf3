"""Jobs of a study in Slurm's queue, read from outside: nothing is touched, no driver is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthlaw.execute.slurm import client
from synthlaw.execute.slurm.arrays import JobArray

LOOK_SECONDS = 2.0
"""What the controller may take to answer somebody who only looks."""


def live_jobs(folder: Path) -> list[dict[str, Any]]:
    """Every job of the executor in `folder` that is queued or running: state, hosts, log.

    Raises SlurmError when the controller does not answer.
    """
    whole = [path.parent for path in sorted((folder / "arrays").glob("synthlaw-*/array.json"))]
    arrays = {one.name: one for one in map(JobArray, whole) if not one.cancelled}
    if not arrays:
        return []
    return [
        {
            "job": f"{arrays[one.array].number or one.array}_{one.element}",
            "state": one.state,
            "hosts": one.hosts,
            "log": str(arrays[one.array].folder / "logs" / f"{one.element}.log"),
        }
        for one in client.queue(arrays, LOOK_SECONDS)
        if one.array in arrays
    ]
