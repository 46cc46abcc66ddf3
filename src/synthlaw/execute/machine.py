"""What this machine can carry at once."""

from __future__ import annotations

import os
import shutil
import subprocess

from synthlaw.common.machine import usable_cores


def default_workers(workers: int | None, threads: int) -> int:
    """Jobs at once: as asked, else as many of `threads` threads as the cores carry."""
    return workers or max(1, usable_cores() // threads)


def visible_gpus() -> list[str]:
    """Names of this machine's GPUs that we may use, as CUDA_VISIBLE_DEVICES writes them."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name.strip()]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=index", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    return done.stdout.split() if done.returncode == 0 else []
