"""A driver that is itself a job in Slurm's queue, so that no login node has to keep it alive.

It needs one CPU, submits the jobs as any driver does, and when its own time ends it goes back to
the queue, where it finds them again.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.files import write_text
from synthlaw.execute.slurm import client
from synthlaw.execute.slurm.arrays import JobArray
from synthlaw.execute.slurm.client import SlurmError
from synthlaw.execute.slurm.options import Request

HOME = "driver"
"""Where in the executor's folder a driver is kept: an array of one job."""

SCRIPT = """\
#!/bin/bash
{setup}
{command} &
driver=$!
trap 'again=1; kill -TERM $driver' USR1
trap 'kill -TERM $driver' TERM
while kill -0 $driver 2>/dev/null; do wait $driver; status=$?; done
if [ "$again" ]; then exec scontrol requeue "$SLURM_JOB_ID"; fi
exit $status
"""
"""USR1 comes when the time is nearly up; TERM from whoever wants the driver gone."""


def submit_driver(folder: Path, command: Sequence[str], request: Request) -> str:
    """Submit `command` as a driver; returns its job and where its output goes.

    folder: of the executor. Raises UsageError when one is in the queue, SynthlawError when it
    cannot be submitted.
    """
    home = folder / HOME
    for array in JobArray.all_in(home):
        if client.states([array.name]):
            raise UsageError(
                f"{folder.parent}: Slurm job {array.number} drives this study already; `synthlaw "
                f"status` tells how far it is, `scancel {array.number}` ends it"
            )
        array.remove()
    array = JobArray.create(home, [[]])
    script = array.folder / "script.sh"
    text = SCRIPT.format(setup="\n".join(request.setup), command=shlex.join(command))
    write_text(script, text)
    flags = [flag.replace("--signal=B:TERM@", "--signal=B:USR1@") for flag in request.flags]
    try:
        number = client.submit(script, [*flags, *array.names(), "--array=0"])
    except SlurmError as error:
        array.remove()
        raise SynthlawError(f"slurm: {error}") from None
    array.note_number(number)
    return f"Slurm job {number}; output in {array.folder / 'logs' / '0.log'}"
