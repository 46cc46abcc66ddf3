"""One run on several machines of a Slurm job: `srun` starts an agent on each, which starts the
processes there and tells how they ended.

    python -m synthlaw.training.nodes FOLDER COUNT NODES HOST:PORT COMMAND...

The first machine of the job, whose worker asks for all this, is where the others meet it. Agents
leave their errors in FOLDER, which all machines see, so that the first cause can be told.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from synthlaw.common.errors import InterruptedWorkError, SynthlawError, UsageError
from synthlaw.common.files import read_json, write_json
from synthlaw.training.interrupt import InterruptedRunError
from synthlaw.training.launch import SAVE_SECONDS, LostProcessError, Place, run_processes


def run_on_nodes(nodes: int, count: int, command: Sequence[str], aside: Path) -> None:
    """Run `command` as `count` processes on each of the `nodes` machines of this Slurm job.

    aside: a folder that all machines see, for what is gone afterwards. Raises what
    `launch.run_processes` raises, and UsageError outside of a Slurm job.
    """
    if "SLURM_JOB_ID" not in os.environ or shutil.which("srun") is None:
        raise UsageError(
            f"execution.resources: a run on {nodes} machines is started by a Slurm job; expected "
            "--executor slurm"
        )
    aside.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="nodes-", dir=aside) as folder:
        agent = [sys.executable, "-m", "synthlaw.training.nodes", folder, str(count), str(nodes)]
        step = subprocess.Popen([*_srun(nodes), *agent, _endpoint(), *command])
        try:
            status = step.wait()
        except InterruptedWorkError as error:
            _end(step)
            raise InterruptedRunError(
                f"{error}; run again to resume from the last checkpoint"
            ) from None
        except BaseException:
            _end(step)
            raise
        if status:
            raise _first_cause(Path(folder), status)


def _endpoint() -> str:
    """A free port of this machine, the first of the job."""
    with socket.socket() as one:
        one.bind(("", 0))
        return f"{socket.gethostname()}:{one.getsockname()[1]}"


def _srun(nodes: int) -> list[str]:
    flags = [f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", "--kill-on-bad-exit=1"]
    # Newer releases of Slurm do not hand this on from the job to its steps.
    cpus = os.environ.get("SLURM_CPUS_PER_TASK")
    return ["srun", *flags, *([f"--cpus-per-task={cpus}"] if cpus else [])]


def _end(step: subprocess.Popen[bytes]) -> None:
    """Let the processes save; srun passes SIGTERM on to its tasks."""
    step.send_signal(signal.SIGTERM)
    try:
        step.wait(SAVE_SECONDS)
    except subprocess.TimeoutExpired:
        step.kill()
        step.wait()


def _first_cause(folder: Path, status: int) -> SynthlawError:
    """The error that the others followed from: they lost a process, or were ended by srun."""
    found = [read_json(path) for path in folder.glob("*.json")]
    kinds: dict[str, type[SynthlawError]] = {"usage": UsageError, "stopped": InterruptedRunError}
    order = ("usage", "failed", "lost", "stopped")
    found.sort(key=lambda error: (order.index(error["kind"]), error["time"]))
    if not found:
        return SynthlawError(f"srun ended with status {status}; run again to resume")
    return kinds.get(found[0]["kind"], SynthlawError)(found[0]["text"])


def _kind(error: SynthlawError) -> str:
    if isinstance(error, LostProcessError):
        return "lost"
    if isinstance(error, InterruptedWorkError):
        return "stopped"
    return "usage" if isinstance(error, UsageError) else "failed"


def main(folder: Path, count: int, nodes: int, endpoint: str, command: Sequence[str]) -> int:
    """The agent of one machine; returns its exit status."""
    rank = int(os.environ["SLURM_PROCID"])
    try:
        run_processes(count, command, Place(nodes, rank, endpoint))
    except SynthlawError as error:
        note = {"kind": _kind(error), "text": str(error), "time": time.time()}
        write_json(folder / f"{rank}.json", note)
        return error.exit_status
    return 0


if __name__ == "__main__":
    place, number, machines, meeting, *wanted = sys.argv[1:]
    sys.exit(main(Path(place), int(number), int(machines), meeting, wanted))
