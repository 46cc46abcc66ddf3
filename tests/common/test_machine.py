"""What is asked of the operating system, on Linux and where its files and calls are missing."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synthlaw.common import machine


def test_cores_are_those_that_the_process_may_use() -> None:
    if platform.system() == "Linux":
        code = "from synthlaw.common.machine import usable_cores; print(usable_cores())"
        one = f"import os; os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}}); {code}"
        done = subprocess.run([sys.executable, "-c", one], capture_output=True, check=True)
        assert int(done.stdout) == 1
    assert 1 <= machine.usable_cores() <= (os.cpu_count() or 1)


def test_without_affinity_all_cores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert machine.usable_cores() == 3
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.usable_cores() == 1


def test_memory_is_of_a_machine_s_size() -> None:
    total, free = machine.total_memory(), machine.free_memory()
    assert total is not None and total > 1 << 28
    assert free is None or 0 < free <= total


VM_STAT = """Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                               10.
Pages active:                            500.
Pages inactive:                            5.
Pages purgeable:                           1.
"""


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> None:
    """No /proc, and macOS's programs."""
    says = {"vm_stat": VM_STAT, "sysctl": "Apple M3\n"}

    def run(command: tuple[str, ...], **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, stdout=says[command[0]])

    def no_file(self: Path, *arguments: object, **options: object) -> str:
        raise FileNotFoundError(self)

    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(Path, "read_text", no_file)
    monkeypatch.setattr(machine.subprocess, "run", run)


def test_macos_is_asked_by_its_own_programs(mac: None) -> None:
    assert machine.free_memory() == 16 * 16384
    assert machine.processor_name() == "Apple M3"
    assert len(machine.processor_digest()) == 64
    kept = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert machine.peak_resident_memory() == pytest.approx(kept, rel=0.2)  # bytes there


def test_a_system_that_says_nothing_still_has_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_file(self: Path, *arguments: object, **options: object) -> str:
        raise FileNotFoundError(self)

    monkeypatch.setattr(platform, "system", lambda: "Plan 9")
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "")
    monkeypatch.setattr(Path, "read_text", no_file)
    monkeypatch.delattr(os, "sysconf")
    monkeypatch.setitem(sys.modules, "resource", None)
    assert machine.free_memory() is None
    assert machine.total_memory() is None
    assert machine.peak_resident_memory() is None
    assert machine.processor_name() == "unknown processor"


def test_the_environment_s_limits_tell_processors_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    found = set()
    for limits in ({}, {"ONEDNN_MAX_CPU_ISA": "AVX2"}, {"ATEN_CPU_CAPABILITY": "avx2"}):
        for name in machine.ISA_LIMITS:
            monkeypatch.delenv(name, raising=False)
        for name, value in limits.items():
            monkeypatch.setenv(name, value)
        found.add(machine.processor_digest())
        assert machine.processor_digest() in found
    assert len(found) == 3


@pytest.mark.parametrize("system", ["Linux", "Darwin"])
def test_a_process_ends_with_the_one_that_started_it(system: str, tmp_path: Path) -> None:
    """The parent is killed; its child, which would sleep on, is gone soon after."""
    if system == "Linux" and platform.system() != "Linux":
        pytest.skip("asks Linux's kernel")
    sign = tmp_path / "pid"
    child = (
        "import os, platform, sys, time; from pathlib import Path; "
        f"platform.system = lambda: {system!r}; "
        "from synthlaw.common.machine import die_with; die_with(os.getppid()); "
        f"Path({str(sign)!r}).write_text(str(os.getpid())); time.sleep(600)"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent])
    try:
        until = time.monotonic() + 60
        while not (sign.exists() and sign.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        pid = int(sign.read_text())
    finally:
        process.kill()
        process.wait()
    while _lives(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _lives(pid)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")
