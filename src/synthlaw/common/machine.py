"""The machine that we are on: the one place that asks the operating system about it.

Linux is what the tests run on. macOS is written for, and Windows falls back where there is a
sensible answer; nothing here fails for want of a Linux file.
"""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from synthlaw.common.digest import digest_of

ISA_LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")
"""Variables that hold torch's kernels, oneDNN and MKL down to fewer instructions than there are."""


def usable_cores() -> int:
    """Cores that this process may use: fewer than the machine's where a scheduler says so."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_name() -> str:
    """What the processor calls itself, or at least its architecture."""
    for found in (
        _linux_facts().get("model name"),
        _macos_model(),
        platform.processor(),
        platform.machine(),
    ):
        if found:
            return found
    return "unknown processor"


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


def _macos_model() -> str:
    if platform.system() != "Darwin":
        return ""
    query = ["sysctl", "-n", "machdep.cpu.brand_string"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    return done.stdout.strip()
