"""A real Slurm cluster of a few nodes on this machine, in one folder, for tests.

Needs Debian's packages slurm-wlm and munge, whose daemons need not run. Everything (key, sockets,
state, logs) lies in the folder, and the daemons listen on the loopback interface.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
UP_SECONDS = 60


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def missing() -> str:
    """Why no cluster can be started here; '' when one can."""
    absent = [name for name in (*DAEMONS, "sbatch", "squeue") if _program(name) is None]
    return f"{', '.join(absent)} not installed (Debian: slurm-wlm munge)" if absent else ""


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _configuration(folder: Path, nodes: int, cpus: int, extra: str) -> str:
    host, user = socket.gethostname().split(".")[0], getpass.getuser()
    port, *node_ports = free_ports(1 + nodes)
    lines = [
        "ClusterName=test",
        f"SlurmctldHost={host}(127.0.0.1)",
        f"SlurmctldPort={port}",
        f"SlurmUser={user}",
        f"SlurmdUser={user}",
        f"AuthInfo=socket={folder}/munge/socket",
        f"StateSaveLocation={folder}/state",
        f"SlurmdSpoolDir={folder}/spool-%n",
        f"SlurmctldPidFile={folder}/slurmctld.pid",
        f"SlurmdPidFile={folder}/slurmd-%n.pid",
        f"SlurmctldLogFile={folder}/slurmctld.log",
        f"SlurmdLogFile={folder}/slurmd-%n.log",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "JobAcctGatherType=jobacct_gather/none",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core",
        "MpiDefault=none",
        "CommunicationParameters=NoInAddrAny,NoCtldInAddrAny",
        "ReturnToService=2",
        "KillWait=5",
        "SchedulerParameters=sched_interval=2,batch_sched_delay=0",
        *extra.splitlines(),
    ]
    lines += [
        f"NodeName=n{i} NodeHostname={host} NodeAddr=127.0.0.1 Port={node_port} CPUs={cpus} "
        "RealMemory=4000"
        for i, node_port in enumerate(node_ports, 1)
    ]
    lines.append("PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP")
    return "\n".join(lines) + "\n"


def _start(folder: Path, nodes: int) -> None:
    munge = folder / "munge"
    munge.mkdir(mode=0o755)
    (munge / "key").write_bytes(os.urandom(128))
    (munge / "key").chmod(0o600)
    for name in ("state", *(f"spool-n{i}" for i in range(1, nodes + 1))):
        (folder / name).mkdir()
    files = {"key": "key-file", "socket": "socket", "pid": "pid-file", "log": "log-file"}
    options = [f"--{option}={munge / name}" for name, option in files.items()]
    commands = [["munged", "--force", f"--seed-file={munge / 'seed'}", *options], ["slurmctld"]]
    commands += [["slurmd", "-N", f"n{i}"] for i in range(1, nodes + 1)]
    for name, *arguments in commands:
        path = _program(name)
        assert path is not None
        # To a file: daemons keep what they inherit open.
        with (folder / "start.log").open("a") as log:
            subprocess.run([path, *arguments], stdout=log, stderr=log, check=True)
    until = time.monotonic() + UP_SECONDS
    while slurm("sinfo", "-h", "-N", "-o", "%T").split() != ["idle"] * nodes:
        if time.monotonic() > until:
            raise RuntimeError(f"the nodes did not come up; see {folder}/*.log")
        time.sleep(0.2)


def _end(folder: Path) -> None:
    for path in [*folder.glob("slurmd-*.pid"), folder / "slurmctld.pid", folder / "munge" / "pid"]:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            pid = int(path.read_text())
            os.kill(pid, signal.SIGTERM)
            for _ in range(50):
                os.kill(pid, 0)
                time.sleep(0.1)
            os.kill(pid, signal.SIGKILL)


def slurm(*command: str) -> str:
    """What a command of Slurm's prints."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def cancel_all() -> None:
    """Cancel every job."""
    slurm("scancel", f"--user={getpass.getuser()}")


@contextmanager
def slurm_cluster(
    folder: Path, *, nodes: int = 2, cpus: int = 1, extra: str = ""
) -> Iterator[None]:
    """A cluster that Slurm's commands of this process find while it is up."""
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    try:
        (folder / "slurm.conf").write_text(_configuration(folder, nodes, cpus, extra))
        _start(folder, nodes)
        yield
    finally:
        cancel_all()
        until = time.monotonic() + 15
        while slurm("squeue", "-h") and time.monotonic() < until:
            time.sleep(0.2)
        _end(folder)
        if before is None:
            del os.environ["SLURM_CONF"]
        else:
            os.environ["SLURM_CONF"] = before
