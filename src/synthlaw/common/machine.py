"""The machine that we are on: the one place that asks the operating system about it.

Linux is what the tests run on. macOS is written for, and Windows falls back where there is a
sensible answer; nothing here fails for want of a Linux file.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from synthlaw.common.digest import digest_of

_PR_SET_PDEATHSIG = 1

WATCH_SECONDS = 1.0

ISA_LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")
"""Variables that hold torch's kernels, oneDNN and MKL down to fewer instructions than there are."""


def usable_cores() -> int:
    """Cores that this process may use: fewer than the machine's where a scheduler says so."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def total_memory() -> int | None:
    """Bytes of memory that the machine has; None where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def free_memory() -> float | None:
    """Bytes that programs can still have, what caches would give back included; None: unknown.

    A container's limit (cgroup version 2) counts. macOS tells of free and inactive pages.
    """
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return _macos_free()
    free = [float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")]
    return min([*free, *_container_limits()], default=None)


def _container_limits() -> Iterator[float]:
    root = Path("/sys/fs/cgroup")
    try:
        limit = (root / "memory.max").read_text(encoding="ascii").strip()
        used = float((root / "memory.current").read_text(encoding="ascii"))
        if limit != "max":
            yield max(0.0, float(limit) - used)
    except (OSError, ValueError):
        return


def _macos_free() -> float | None:
    said = _macos_says("vm_stat")
    size = re.search(r"page size of (\d+) bytes", said)
    pages = re.findall(r"^Pages (?:free|inactive|purgeable):\s+(\d+)", said, re.MULTILINE)
    return float(size[1]) * sum(map(int, pages)) if size and pages else None


def peak_resident_memory() -> int | None:
    """Most bytes that this process held in memory so far; None where it cannot be known."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024  # kibibytes but on macOS


def die_with(parent: int) -> None:
    """End this process at once when process `parent`, which started it, is gone.

    Linux's kernel sees to it. Elsewhere a thread looks every second, which a library that holds
    the interpreter's lock delays.
    """
    if platform.system() == "Linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            return
        os._exit(1)  # it went before we asked
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)


def processor_name() -> str:
    """What the processor calls itself, or at least its architecture."""
    places = (_linux_model, _macos_model, platform.processor, platform.machine)
    return next((name for place in places if (name := place())), "unknown processor")


def processor_digest() -> str:
    """Tells kinds of processors apart: by name, instructions, and what the environment allows."""
    flags = _linux_facts().get("flags") or _linux_facts().get("Features") or platform.machine()
    limits = {name: os.environ.get(name) for name in ISA_LIMITS}
    return digest_of([processor_name(), flags, limits])


def _linux_facts() -> dict[str, str]:
    """/proc/cpuinfo of the first core; empty where there is none."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    first = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in first}


def _linux_model() -> str:
    return _linux_facts().get("model name", "")


def _macos_model() -> str:
    return _macos_says("sysctl", "-n", "machdep.cpu.brand_string").strip()


def _macos_says(*command: str) -> str:
    """What a program of macOS prints; nothing on other systems."""
    if platform.system() != "Darwin":
        return ""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""
