"""What the environment allows oneDNN: `ONEDNN_MAX_CPU_ISA` holds it down to older instructions.

torch and OpenVINO each carry a oneDNN of their own. The variable is how one kind of processor
stands in for another, in tests and in continuous integration, so it has to mean the same to both.
"""

from __future__ import annotations

import getpass
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""The first that is set counts, as in oneDNN; the second is its former name."""

_WITHOUT_BF16 = frozenset(
    {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI"}
)
"""Values under which products of bf16 are emulated."""


_WITHOUT_AMX = _WITHOUT_BF16 | {"AVX512_CORE_BF16", "AVX512_CORE_FP16", "AVX10_1_512"}
"""Values under which bf16 is multiplied by vectors at most, not by tiles."""


def held_below_bf16() -> bool:
    """Whether the environment keeps oneDNN from instructions that multiply bf16."""
    return _limit() in _WITHOUT_BF16


def held_below_amx() -> bool:
    """Whether the environment keeps oneDNN from AMX."""
    return _limit() in _WITHOUT_AMX


def _limit() -> str:
    return next((os.environ[name] for name in VARIABLES if os.environ.get(name)), "").upper()


@contextmanager
def unlimited() -> Iterator[None]:
    """The environment without the limit, for the moment in which a library reads it for good."""
    kept = {name: os.environ.pop(name) for name in VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def keep_kernels_apart() -> None:
    """Give compiled kernels a cache of their own where the processor is held down.

    torch's cache does not tell a processor from the same one held down to fewer instructions:
    kernels made for one gave a loss that was not finite on the other. To be called before torch
    compiles anything; a cache that the user has named stays.
    """
    held = os.environ.get("ATEN_CPU_CAPABILITY") or _limit()
    if held:
        kind = re.sub(r"\W", "", held.lower())[:32]
        folder = Path(tempfile.gettempdir()) / f"torchinductor_{getpass.getuser()}_{kind}"
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
