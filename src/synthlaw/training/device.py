"""Where to compute and in which precision: asked of the machine, never assumed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch

from synthlaw.common.errors import UsageError

Precision = Literal["bf16", "fp32"]


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


def bf16_is_fast(device: torch.device | None = None) -> bool:
    """Whether bf16 products run on instructions of their own here.

    A CPU without avx512_bf16 or amx emulates them, slower than fp32.
    """
    device = device or choose_device("auto")
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in names)


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
