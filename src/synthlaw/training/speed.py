"""How fast a step was, against a peak that was measured or given; never guessed from a name."""

from __future__ import annotations

import time
from functools import cache

import torch

from synthlaw.common.machine import peak_resident_memory
from synthlaw.training.config import Precision, TrainingConfig
from synthlaw.training.presets import flops_per_token

SQUARE = {"cpu": 1024, "cuda": 8192}
"""Width of the square product that is timed."""

MEASURE_SECONDS = 0.2


@cache
def measured_peak(device_type: str, dtype: Precision, threads: int) -> float:
    """Best FLOP per second of one square product on this device, once in a process.

    threads: of torch, part of what is measured.
    """
    kind = torch.bfloat16 if dtype == "bf16" else torch.float32
    size = SQUARE.get(device_type, 1024)
    left, right = torch.randn(2, size, size, device=device_type).to(kind)
    best, until = float("inf"), time.monotonic() + MEASURE_SECONDS
    while time.monotonic() < until:
        _wait(device_type)
        started = time.perf_counter()
        torch.mm(left, right)
        _wait(device_type)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def _wait(device_type: str) -> None:
    if device_type == "cuda":
        torch.cuda.synchronize()


class Speedometer:
    """Turns the seconds of a step into the log's figures.

    The peak is that of one process times `processes`: `config.peak_flops` where it is given, else
    a measured matrix product.
    """

    def __init__(self, config: TrainingConfig, device_type: str, processes: int) -> None:
        self.config, self.device_type = config, device_type
        self.per_token = flops_per_token(config.shape, config.context)
        given = config.peak_flops
        one = given or measured_peak(device_type, config.dtype, torch.get_num_threads())
        self.peak = one * processes
        self.source = "given" if given else f"measured {config.dtype} matrix product"

    def figures(self, seconds: float) -> dict[str, float]:
        """tokens_per_second, mfu (FLOP of the step over the peak's) and memory_bytes."""
        rate = self.config.batch_tokens / max(seconds, 1e-9)
        return {
            "tokens_per_second": round(rate, 1),
            "mfu": round(rate * self.per_token / self.peak, 4),
            "memory_bytes": peak_memory(self.device_type),
        }

    def facts(self) -> dict[str, float | str]:
        """What `mfu` rests on."""
        return {
            "flops_per_token": self.per_token,
            "flops_counted": "matrices, head and causal attention, forward and backward",
            "peak_flops": self.peak,
            "peak": self.source,
        }


def peak_memory(device_type: str) -> int:
    """Most bytes held so far: allocated on an accelerator, else resident in this process."""
    if device_type == "cuda":
        return torch.cuda.max_memory_allocated()
    return peak_resident_memory() or 0
