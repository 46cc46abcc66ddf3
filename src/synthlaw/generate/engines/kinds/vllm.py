"""The engine `vllm`: a vLLM server on this machine, started and stopped by us."""

from __future__ import annotations

from synthlaw.common.errors import UsageError
from synthlaw.generate.engines.base import Engine
from synthlaw.generate.engines.registry import EngineOptions


def make(options: EngineOptions) -> Engine:
    """A server of `model`. Raises UsageError for a base URL."""
    from synthlaw.generate.engines.vllm import VLLMEngine

    if options.base_urls:
        raise UsageError("engine 'vllm': found a base URL; use the engine 'openai' for it")
    return VLLMEngine(
        model=options.model,
        concurrency=options.concurrency or 256,
        fold_system=options.fold_system,
    )
