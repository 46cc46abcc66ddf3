"""Keeps a program from outliving those who need it: run as a program itself, between them.

    python -I process_guard.py OWNER COMMAND…

The program gets a session of its own. When the process OWNER is gone (whatever ended it, `kill -9`
too), when this program is told to end, or when the program's main process ends and leaves others
behind, the whole group is ended. The program's process id, or `error` and why there is none, is
the only line on standard output; the program writes to this program's standard error. Ends with
the program's status, 128 and the signal if one ended it.

It imports nothing of the package, so that it is up at once and uses little memory.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

GRACE_SECONDS = 20.0
"""For the program's main process to end by itself once it is told to."""

LEFTOVER_SECONDS = 3.0
"""For what it leaves behind."""

_LOOK_EVERY_SECONDS = 0.2


def main(owner: int, command: list[str]) -> int:
    """Start the program and stay until it is gone; its status."""
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda found, _: told.append(found))
    try:
        program = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
        )
    except OSError as error:
        print(f"error {error}", flush=True)
        return 127
    try:
        print(program.pid, flush=True)
        while program.poll() is None and os.getppid() == owner and not told:
            time.sleep(_LOOK_EVERY_SECONDS)
    finally:
        end_group(program)
    return program.returncode if program.returncode >= 0 else 128 - program.returncode


def end_group(program: subprocess.Popen[bytes]) -> None:
    """Ask every process of the program's group to end, wait, and kill what is left."""
    if _signal_group(program.pid, signal.SIGTERM):
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(GRACE_SECONDS)
        until = time.monotonic() + LEFTOVER_SECONDS
        while time.monotonic() < until and _signal_group(program.pid, 0):
            time.sleep(_LOOK_EVERY_SECONDS / 4)
        _signal_group(program.pid, signal.SIGKILL)
    program.wait()


def _signal_group(group: int, number: int) -> bool:
    """Whether there was a process to send it to."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS refuses to signal zombies
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
