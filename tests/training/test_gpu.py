"""On a CUDA device: the losses of the CPU, eager and with compiled blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from runs import small_config, small_sampler

from synthlaw.training.loop import train
from synthlaw.training.metrics import read_metrics

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def losses(out: Path, device: str, dtype: str, *, compiled: bool = False) -> list[float]:
    config = small_config(device=device, dtype=dtype, compile=compiled)
    train(config, small_sampler(config), out)
    return [row["loss"] for row in read_metrics(out / "metrics.jsonl")]


@pytest.mark.parametrize(("dtype", "gap"), [("fp32", 1e-3), ("bf16", 3e-2)])
@pytest.mark.parametrize("compiled", [False, True])
def test_losses_are_those_of_the_cpu(
    tmp_path: Path, dtype: str, gap: float, compiled: bool
) -> None:
    there = losses(tmp_path / "cuda", "cuda", dtype, compiled=compiled)
    np.testing.assert_allclose(there, losses(tmp_path / "cpu", "cpu", "fp32"), rtol=0, atol=gap)
