"""Slurm's own commands: submit, look, cancel. Nothing of it is linked, so every version will do."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.progress import say

PATIENCE_SECONDS = 60
"""What one command may take; a controller that is restarted answers late."""

DEFAULT_MAX_ARRAY = 1001
NO_ELEMENT = str(2**32 - 2)
"""Slurm's NO_VAL, where the number of an array's element would be."""

NAMES_AT_ONCE = 200

AWAY = ("down", "drain", "drng", "fail", "maint", "unknown")
"""How sinfo's states of nodes begin on which no job can start."""

Element = tuple[str, int]
"""An array's name and the number of one of its jobs."""


class SlurmError(SynthlawError):
    """A command of Slurm's failed; its own last line."""


def check_commands() -> None:
    """Raise UsageError where Slurm's commands are not installed."""
    if shutil.which("sbatch") is None:
        raise UsageError(
            "executor 'slurm': found no sbatch on PATH; expected a machine from which jobs can be "
            "submitted to Slurm"
        )


def submit(script: Path, flags: Sequence[str]) -> str:
    """Submit a batch script; returns the job's number. Raises SlurmError."""
    return _said(["sbatch", "--parsable", *flags, str(script)]).strip().split(";")[0]


def try_submission(script: Path, flags: Sequence[str], where: str) -> None:
    """Let Slurm judge a submission without making it. Raises UsageError that names `where`."""
    try:
        _said(["sbatch", "--test-only", *flags, str(script)])
    except SlurmError as error:
        if "not available" in str(error) and _no_node_is_up(flags):
            say("  warning: slurm: no node is up at present; jobs will wait for one")
            return
        raise UsageError(f"{where}: {error}") from None


def _no_node_is_up(flags: Sequence[str]) -> bool:
    """Whether every node that could be asked is down or drained: nothing can be tried then, though
    a submission would be taken."""
    partition = [flag for flag in flags if flag.startswith("--partition=")]
    try:
        states = _said(["sinfo", "--noheader", "--Node", "--format=%T", *partition]).split()
    except SlurmError:
        return False
    return bool(states) and all(state.startswith(AWAY) for state in states)


@dataclass(frozen=True)
class Queued:
    """A job in the queue: its array and element, its state, such as RUNNING, and its hosts."""

    array: str
    element: int
    state: str
    hosts: str


def queue(names: Iterable[str], patience: float = PATIENCE_SECONDS) -> list[Queued]:
    """Every job in the queue of the arrays with these names. What is not there has ended.

    Raises SlurmError when the controller does not answer within `patience` seconds.
    """
    found = []
    wanted = sorted(names)
    for start in range(0, len(wanted), NAMES_AT_ONCE):
        listed = ",".join(wanted[start : start + NAMES_AT_ONCE])
        columns = "--format=%j|%K|%T|%N"
        command = ["squeue", "--noheader", "--array", columns, f"--name={listed}"]
        for line in _said(command, patience).split():
            name, element, state, hosts = line.split("|")
            if element.isdecimal():
                found.append(Queued(name, int(element), state, hosts))
    return found


def states(names: Iterable[str]) -> dict[Element, str]:
    """State of every job in the queue of the arrays with these names. Raises SlurmError."""
    return {(one.array, one.element): one.state for one in queue(names)}


def last_state(number: str, element: int, began: bool) -> str:
    """State in which a job of an array ended, such as TIMEOUT; '' when Slurm has forgotten it.

    began: whether it ever ran, by its log. The controller knows for some minutes (MinJobAge), the
    accounting, if there is one, for ever.
    """
    sacct = ["sacct", "--noheader", "--parsable2", "--allocations", "--format=State"]
    with suppress(SlurmError):
        found = _state_in(_said(["scontrol", "show", "job", number, "--oneliner"]), element, began)
        if found:
            return found
    with suppress(SlurmError):
        told = re.match(r"[A-Z_]+", _said([*sacct, f"--jobs={number}_{element}"]))
        return told.group() if told else ""
    return ""


def _state_in(records: str, element: int, began: bool) -> str:
    """An element's state among an array's records, one a line.

    Elements that never began, and never will, share a record without a number of its own. One that
    began and is forgotten must not be given theirs.
    """
    states = {}
    for line in records.splitlines():
        task = re.search(r"\bArrayTaskId=(\S+)", line)
        state = re.search(r"\bJobState=([A-Z_]+)", line)
        if task and state:
            states[task.group(1)] = state.group(1)
    shared = "" if began else states.get(NO_ELEMENT, "")
    return states.get(str(element)) or shared


def cancel(names: Iterable[str]) -> None:
    """Cancel all jobs with these names; those that are running are sent SIGTERM first."""
    wanted = sorted(names)
    for start in range(0, len(wanted), NAMES_AT_ONCE):
        _said(["scancel", f"--name={','.join(wanted[start : start + NAMES_AT_ONCE])}"])


def max_array() -> int:
    """Jobs that one array may have on this cluster."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _said(["scontrol", "show", "config"]), re.M)
    return max(1, int(found.group(1))) if found else DEFAULT_MAX_ARRAY


def _said(command: list[str], patience: float = PATIENCE_SECONDS) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=patience
        )
    except FileNotFoundError:
        raise SlurmError(f"{command[0]}: is not on PATH") from None
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{command[0]}: no answer in {patience:g} s") from None
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        # The usage hint that follows a wrong option says less than the line before it.
        told = [line for line in lines if not line.startswith("Try ")] or [f"{command[0]} failed"]
        raise SlurmError("; ".join(told[-2:]))
    return done.stdout
