"""Settings for all tests."""

from __future__ import annotations

import pytest
from hypothesis import settings

from instruction_sets import instruction_sets
from synthlaw.common.machine import usable_cores
from synthlaw.common.onednn import keep_kernels_apart

# Before any test loads torch: see the function.
keep_kernels_apart()

# Test machines are shared: an example that is slow once is no finding.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")


@pytest.hookimpl(optionalhook=True)  # also without xdist
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: a good part of the tests waits for clocks and servers."""
    return usable_cores() + 1


def pytest_report_header(config: pytest.Config) -> str:
    """Which instruction sets the libraries use in this run; asked once, by the main process."""
    if hasattr(config, "workerinput"):
        return ""
    return "instruction sets: " + "; ".join(f"{k}: {v}" for k, v in instruction_sets().items())
