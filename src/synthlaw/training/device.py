"""Where to compute, and what the device is good at: asked of the machine, never assumed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from synthlaw.common.errors import UsageError
from synthlaw.common.machine import ISA_LIMITS
from synthlaw.common.onednn import held_below_amx, held_below_bf16
from synthlaw.training.config import Precision

_BF16_FLAGS = {"amx_bf16": "AMX", "avx512_bf16": "AVX512_BF16", "sve_bf16": "SVE", "bf16": "NEON"}
"""Instructions that multiply bf16, by the names of torch's `cpu.get_capabilities`; the first of
these that a processor has names what it does."""


def choose_device(name: str) -> torch.device:
    """The device called `name`; 'auto' is CUDA where there is one, else the CPU.

    Raises UsageError for a device that torch does not know or this machine does not have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"device: found {name!r}; expected auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device: found {name!r}, but torch sees no CUDA device; use auto or cpu")
    return device


def autocast(device: torch.device, dtype: Precision) -> AbstractContextManager[object]:
    """Matrix products in bf16, the rest in fp32; nothing for fp32."""
    if dtype == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def bf16_instructions(device: torch.device) -> str:
    """The instructions that multiply bf16 on `device`; empty where such products are emulated.

    A CPU that the environment holds down (ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA) has what is
    left to it.
    """
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return f"CUDA {torch.cuda.get_device_name(device)}" if native else ""
    if device.type != "cpu" or _held_below_bf16():
        return ""
    has = dict(torch.cpu.get_capabilities())
    has["amx_bf16"] = has.get("amx_bf16") and not held_below_amx()
    return next((name for flag, name in _BF16_FLAGS.items() if has.get(flag)), "")


def _held_below_bf16() -> bool:
    """Whether the environment keeps the instructions for bf16 from this processor's products."""
    if held_below_bf16():
        return True
    x86 = torch.cpu.get_capabilities().get("architecture") == "x86_64"
    return x86 and torch.backends.cpu.get_cpu_capability() in {"DEFAULT", "NO AVX", "AVX2"}


def instruction_sets() -> dict[str, str]:
    """What each part that multiplies on this CPU may use: for records and checks.

    torch: kernels of its own. bf16: see `bf16_instructions`. limits: variables of the environment
    that hold a library down; MKL, which multiplies fp32 on x86, obeys its own alone.
    """
    limits = [f"{name}={os.environ[name]}" for name in ISA_LIMITS if os.environ.get(name)]
    return {
        "torch": torch.backends.cpu.get_cpu_capability(),
        "bf16": bf16_instructions(torch.device("cpu")) or "emulated",
        "limits": " ".join(limits) or "none",
    }


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Run torch with `count` threads (0: leave as is), then restore the former number."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
