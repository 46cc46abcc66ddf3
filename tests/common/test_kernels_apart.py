"""Compiled kernels of a processor that is held down have a cache of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from synthlaw.common.onednn import VARIABLES, keep_kernels_apart

CACHE = "TORCHINDUCTOR_CACHE_DIR"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "ATEN_CPU_CAPABILITY"):
        monkeypatch.delenv(name, raising=False)
    # Set and taken away, so that what the code sets goes away with the test.
    monkeypatch.setenv(CACHE, "x")
    monkeypatch.delenv(CACHE)


def cache(**environment: str) -> str | None:
    os.environ.pop(CACHE, None)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        keep_kernels_apart()
        return os.environ.pop(CACHE, None)


def test_only_a_processor_held_down_has_another_cache() -> None:
    assert cache() is None
    vector = cache(ATEN_CPU_CAPABILITY="avx2")
    products = cache(ONEDNN_MAX_CPU_ISA="AVX512_CORE")
    assert vector
    assert products
    assert vector != products
    assert vector == cache(ATEN_CPU_CAPABILITY="avx2")
    odd = cache(ATEN_CPU_CAPABILITY="../..")
    assert odd is not None
    assert ".." not in odd


def test_a_cache_that_the_user_names_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE, "mine")
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    keep_kernels_apart()
    assert os.environ[CACHE] == "mine"


def test_it_is_set_before_torch_sets_its_own() -> None:
    code = """
import os
import subprocess
import sys
import synthlaw.training.loop
import torch
import torch._inductor.runtime.cache_dir_utils as torch_cache
torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))])
print(torch_cache.cache_dir())
"""
    environment = {**os.environ, "ATEN_CPU_CAPABILITY": "avx2"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("_avx2")
