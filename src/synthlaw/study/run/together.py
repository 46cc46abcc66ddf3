"""A run that trains on several processes: `python -m synthlaw.study.run.together PIECE`.

PIECE is JSON. A process each of the study's `execution.gpus_per_run` GPUs, on each of the run's
machines; the first of all writes.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pydantic import BaseModel

from synthlaw.common.errors import SynthlawError
from synthlaw.common.files import read_json, write_json
from synthlaw.study.run.task import RunTask
from synthlaw.training.launch import ending_at_once, record_error, run_processes
from synthlaw.training.nodes import run_on_nodes

STATE = "trunk.json"
"""What is told of a trunk's state, beside it."""


class Piece(BaseModel):
    """What the processes train in the folder `work`: the task's run, or its trunk to step `until`.

    start: folder of the trunk's state that it begins at.
    """

    task: RunTask
    work: Path
    start: Path | None = None
    until: int | None = None


def train_together(piece: Piece) -> None:
    """Train in processes of their own and wait for them. Raises what they raise."""
    task = piece.task
    command = [sys.executable, "-m", __name__, piece.model_dump_json()]
    if task.nodes > 1:
        run_on_nodes(task.nodes, task.processes, command, task.root / "work" / "nodes")
    else:
        run_processes(task.processes, command)


def trunk_of(work: Path) -> tuple[float, bool]:
    """Seconds of the trunk that was trained in `work`, and whether it diverged."""
    found = read_json(work / STATE)
    return float(found["seconds"]), bool(found["diverged"])


def _train(piece: Piece) -> None:
    from synthlaw.training.loop import train, train_trunk

    task = piece.task
    if piece.until is None:
        train(task.config, task.sampler(), piece.work, start=piece.start)
        return
    state = train_trunk(task.config, task.sampler(), piece.work, piece.until, start=piece.start)
    if os.environ["RANK"] == "0":
        write_json(piece.work / STATE, {"seconds": state.seconds, "diverged": state.diverged})


def main(text: str) -> None:
    """One process's part. An error is left where the launcher finds it."""
    try:
        _train(Piece.model_validate_json(text))
    except SynthlawError as error:
        record_error(error)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    with ending_at_once():
        main(sys.argv[1])
