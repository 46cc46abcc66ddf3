"""Claims with heartbeats, and locks of this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from synthlaw.common.claims import Claims, claimed
from synthlaw.common.errors import UsageError
from synthlaw.common.locks import exclusive, holder_of

HOLD = """\
import sys, time
from pathlib import Path
from synthlaw.common.claims import claimed
with claimed(Path(sys.argv[1]), "run", stale_seconds=float(sys.argv[2])):
    print("held", flush=True)
    time.sleep(60)
"""


def holding(folder: Path, stale_seconds: float = 45.0) -> subprocess.Popen[str]:
    """A process that holds the claim "run"."""
    command = [sys.executable, "-c", HOLD, str(folder), str(stale_seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_who_comes_second_waits_for_the_first(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with claimed(tmp_path, "run"):
            order.append("second")

    with claimed(tmp_path, "run"):
        thread = threading.Thread(target=second)
        thread.start()
        with claimed(tmp_path, "another"):
            order.append("another")
        time.sleep(0.7)
        order.append("first")
    thread.join()
    assert order == ["another", "first", "second"]
    assert not list(tmp_path.glob("*/*"))  # no trace is left


def test_the_claim_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    process = holding(tmp_path)
    process.kill()
    process.wait()
    began = time.monotonic()
    with claimed(tmp_path, "run"):
        assert time.monotonic() - began < 20


def test_a_process_that_stood_still_ends_when_another_has_taken_over(tmp_path: Path) -> None:
    process = holding(tmp_path, stale_seconds=1.0)
    process.send_signal(signal.SIGSTOP)
    with claimed(tmp_path, "run", stale_seconds=1.0):
        process.send_signal(signal.SIGCONT)
        assert process.wait(timeout=30) == 1
        assert process.stderr is not None and "another took its work over" in process.stderr.read()


def test_claims_have_numbers_or_names(tmp_path: Path) -> None:
    claims = Claims(tmp_path)
    assert claims.take(3) and claims.take("CC-1B")
    assert sorted(path.name for path in (tmp_path / "claims").iterdir()) == [
        "000003.json",
        "CC-1B.json",
    ]
    assert not Claims(tmp_path).take("CC-1B")


def test_a_lock_names_its_holder_by_process_and_machine(tmp_path: Path) -> None:
    assert holder_of(tmp_path) is None
    holder = f"process {os.getpid()} on {socket.gethostname()}"
    with exclusive(tmp_path):
        assert holder_of(tmp_path) == holder
        with pytest.raises(UsageError, match=f"in use by {holder}; wait for it"):
            exclusive(tmp_path).__enter__()
    assert holder_of(tmp_path) is None
    with exclusive(tmp_path):
        pass
