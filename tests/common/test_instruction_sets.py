"""What a machine that the environment holds down really uses."""

from __future__ import annotations

import os
import platform

import pytest

from instruction_sets import instruction_sets

pytestmark = pytest.mark.isa


def test_every_library_says_what_it_uses() -> None:
    found = instruction_sets()
    assert found["torch"] != "says nothing"
    if platform.machine() == "x86_64":
        assert found["oneDNN"] != "says nothing", found


@pytest.mark.skipif(
    os.environ.get("ATEN_CPU_CAPABILITY") != "avx2", reason="this run is not held down to AVX2"
)
def test_a_held_down_run_really_is() -> None:
    """Without this, a run that names AVX2 might test the same instructions twice.

    OpenVINO is not held down by the environment: the engine's precision is a parameter, and the
    engine's tests force each.
    """
    found = instruction_sets()
    assert found["torch"] == "AVX2"
    assert found["oneDNN"] == "Intel AVX2", found
    assert "512" not in found["MKL"], found
