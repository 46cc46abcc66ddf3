"""Jobs of a study in Slurm's queue, read from outside: nothing is touched, no driver is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthlaw.execute.slurm import client
from synthlaw.execute.slurm.arrays import ARRAYS, JobArray
from synthlaw.execute.slurm.driver import HOME

LOOK_SECONDS = 2.0
"""What the controller may take to answer somebody who only looks."""


def live_jobs(folder: Path) -> list[dict[str, Any]]:
    """Every job of the executor in `folder` that is queued or running: state, hosts, log.

    driver: whether it is the driver. Raises SlurmError when the controller does not answer.
    """
    whole = [
        path.parent
        for home in (ARRAYS, HOME)
        for path in sorted((folder / home).glob("synthlaw-*/array.json"))
    ]
    arrays = {array.name: array for array in map(JobArray, whole)}
    if not arrays:
        return []
    return [
        {
            "job": f"{arrays[one.array].number or one.array}_{one.element}",
            "driver": arrays[one.array].folder.parent.name == HOME,
            "state": one.state,
            "hosts": one.hosts,
            "log": str(arrays[one.array].folder / "logs" / f"{one.element}.log"),
        }
        for one in client.queue(arrays, LOOK_SECONDS)
        if one.array in arrays
    ]
