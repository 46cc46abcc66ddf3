"""The engine `embedded`: a small model on this machine's CPU, in this process."""

from __future__ import annotations

from synthlaw.common.errors import UsageError
from synthlaw.generate.engines.base import Engine
from synthlaw.generate.engines.registry import EngineOptions


def make(options: EngineOptions) -> Engine:
    """The packaged model, or a GGUF file by `model`. Raises UsageError for a base URL."""
    from synthlaw.generate.engines.openvino import EmbeddedEngine

    if options.base_urls:
        raise UsageError("engine 'embedded': found a base URL; use the engine 'openai' for it")
    return EmbeddedEngine(
        model=options.model, concurrency=options.concurrency or 32, threads=options.threads
    )
