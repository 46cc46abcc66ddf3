"""A smaller run of `benchmarks/fuzz.py tables`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "fuzz.py"


@pytest.mark.parametrize("seed", [7, 8])
def test_no_table_ends_in_a_traceback(seed: int) -> None:
    words = [str(PROGRAM), "tables", "--inputs", "250", "--seed", str(seed)]
    done = subprocess.run(
        [sys.executable, *words],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "fitted" in done.stdout and "refused" in done.stdout
