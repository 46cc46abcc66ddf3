"""A program that we run beside us: under a guard, its output kept, ended with its children.

Its standard output and error go to a log file; what stands there from earlier starts is kept.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from synthlaw.common import process_guard
from synthlaw.common.errors import SynthlawError, UsageError

_TAIL_BYTES = 1 << 16
_LONGEST_LINE = 300
_MOST_LINES = 3

_ERROR = re.compile(r"\b(?:[A-Za-z_]*(?:Error|Exception)|error|fatal)\b\s*:", re.IGNORECASE)
_PREFIX = re.compile(r"^\(\w+ pid=\d+\)\s*|^(?:ERROR|INFO|WARNING) [\d: .-]+\[[^\]]*\]\s*")
_POINTS_ELSEWHERE = re.compile(r"root cause above|^usage:", re.IGNORECASE)


class GuardedProcess:
    """One start of a program, a server or another trainer."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        folder: Path | None = None,
    ) -> None:
        """environment: of the program. log: file that its output is added to. folder: where it
        starts, the present one by default.

        Raises UsageError when the command cannot be run, SynthlawError where the system has no
        process groups.
        """
        if not hasattr(os, "killpg"):
            raise SynthlawError(
                f"running {command[0]} needs Linux or macOS; a server may be started by hand and "
                "named by its URL with --engine openai"
            )
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            begun = f"--- {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {shlex.join(command)}\n"
            output.write(begun.encode())
            output.flush()
            self._begins = output.tell()
            self._guard = subprocess.Popen(
                [sys.executable, "-I", process_guard.__file__, str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=output,
                env=dict(environment),
                cwd=folder,
                start_new_session=True,
            )
        assert self._guard.stdout is not None
        said = self._guard.stdout.readline().decode("utf-8", "replace").strip()
        if not said.isdigit():
            self._guard.wait()
            raise UsageError(f"cannot run {command[0]}: {said.removeprefix('error ') or 'no word'}")
        self.pid = int(said)

    def ended(self) -> str | None:
        """How the program ended, None while it runs."""
        status = self._guard.poll()
        if status is None:
            return None
        if status < 0:
            return f"its guard was ended by signal {-status}"
        return f"ended by signal {status - 128}" if status > 128 else f"ended with status {status}"

    def succeeded(self) -> bool:
        """Whether the program has ended with status 0."""
        return self._guard.poll() == 0

    def stop(self) -> None:
        """End the program and all its processes; returns when they are gone."""
        if self._guard.poll() is None:
            self._guard.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._guard.wait(process_guard.GRACE_SECONDS + 2 * process_guard.LEFTOVER_SECONDS)
        if self._guard.poll() != 0:  # what a guard that was killed has left
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        if self._guard.poll() is None:
            self._guard.kill()
            self._guard.wait()
        if self._guard.stdout is not None:
            self._guard.stdout.close()

    def output_bytes(self) -> int:
        """How much the program has written since it started."""
        return self.log.stat().st_size - self._begins

    def last_line(self) -> str:
        """The last line that says something, short."""
        lines = self._lines()
        return lines[-1] if lines else ""

    def last_errors(self) -> str:
        """The last lines that look like errors, or else the last lines; and where the rest is."""
        lines = self._lines()
        found = [
            line for line in lines if _ERROR.search(line) and not _POINTS_ELSEWHERE.search(line)
        ]
        shown = list(dict.fromkeys(found or lines))[-_MOST_LINES:]
        return f"{' | '.join(shown) or 'it said nothing'} (see {self.log})"

    def _lines(self) -> list[str]:
        """The end of this start's output: no blank lines, no names of processes and loggers."""
        with self.log.open("rb") as file:
            file.seek(max(self._begins, self.log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
        # Bars are drawn over themselves with carriage returns.
        lines = [_PREFIX.sub("", _PREFIX.sub("", line)) for line in re.split(r"[\r\n]+", text)]
        return [line.strip()[:_LONGEST_LINE] for line in lines if line.strip()]
