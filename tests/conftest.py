"""Settings for all tests."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from instruction_sets import instruction_sets

# Inductor's cache does not tell a processor from one that is held down to fewer instructions:
# kernels made for one gave a loss that was not finite on the other.
_KIND = os.environ.get("ATEN_CPU_CAPABILITY", "native")
_KERNELS = Path(tempfile.gettempdir()) / f"synthlaw-kernels-{_KIND}"
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(_KERNELS))

# Test machines are shared: an example that is slow once is no finding.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")


def pytest_report_header(config: pytest.Config) -> str:
    """Which instruction sets the libraries use in this run; asked once, by the main process."""
    if hasattr(config, "workerinput"):
        return ""
    return "instruction sets: " + "; ".join(f"{k}: {v}" for k, v in instruction_sets().items())
