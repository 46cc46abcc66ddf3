"""One process of a run that trains on several: `python -m synthlaw.study.run.train_process TASK`.

TASK is JSON.
`execute.py` starts as many as the study's `execution.gpus_per_run`; the first one writes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from synthlaw.common.errors import SynthlawError
from synthlaw.study.run.task import RunTask
from synthlaw.training.launch import ending_at_once, record_error
from synthlaw.training.loop import train


def main(text: str, work: str, start: str | None = None) -> None:
    """Train our part of the task in the folder `work`, from the trunk's state in `start` if given.

    An error is left where the launcher finds it.
    """
    task = RunTask.model_validate_json(text)
    try:
        train(task.config, task.sampler(), Path(work), start=Path(start) if start else None)
    except SynthlawError as error:
        record_error(error)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    with ending_at_once():
        main(*sys.argv[1:])
