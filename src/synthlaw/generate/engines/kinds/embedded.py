"""The engine `embedded`: a small model on this machine's CPU, in this process."""

from __future__ import annotations

from synthlaw.generate.engines.base import Engine
from synthlaw.generate.engines.options import EngineOptions

TAKES = ("threads",)


def make(options: EngineOptions) -> Engine:
    """The packaged model, or a GGUF file by `model`."""
    from synthlaw.generate.engines.openvino import EmbeddedEngine

    return EmbeddedEngine(
        model=options.model, concurrency=options.concurrency or 32, threads=options.threads
    )
