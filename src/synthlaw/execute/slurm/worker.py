"""What one job of an array does: `python -m synthlaw.execute.slurm.worker FOLDER`.

SIGTERM (time is up, the machine is wanted, the job was cancelled) lets the work under way save its
state; it and the rest of the element's work go back to the driver, or to this element when Slurm
starts it again.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from synthlaw.common.errors import InterruptedWorkError
from synthlaw.common.files import write_json
from synthlaw.execute.base import do_job_counting
from synthlaw.execute.slurm.arrays import JobArray


def main(folder: Path, element: int) -> int:
    """Do what is left of an element's work; returns the exit status."""
    array = JobArray(folder)
    sys.path += [path for path in array.path() if path not in sys.path]
    for place, line in enumerate(array.lines(element)):
        before = array.outcome(element, place)
        if before is not None and before["event"] != "interrupted":
            continue
        # Whoever looks now must not take an old interruption for a new one.
        array.outcome_path(element, place).unlink(missing_ok=True)
        job = json.loads(line)
        outcome = do_job_counting(job["function"], job["payload"])
        write_json(array.outcome_path(element, place), outcome)
        if outcome["event"] == "interrupted":
            return int(outcome["status"])
    return 0


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # told twice is no reason to stop saving
    raise InterruptedWorkError(f"stopped by {signal.Signals(number).name}", 128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    try:
        sys.exit(main(Path(sys.argv[1]), int(os.environ["SLURM_ARRAY_TASK_ID"])))
    except InterruptedWorkError as error:  # between two jobs
        sys.exit(error.exit_status)
