"""The engine `vllm`: a vLLM server on this machine, started and stopped by us."""

from __future__ import annotations

from synthlaw.generate.engines.base import Engine
from synthlaw.generate.engines.options import EngineOptions

TAKES = ("tokenizer", "api", "fold_system", "options", "command")


def make(options: EngineOptions) -> Engine:
    """A server of `model`. Raises UsageError for settings that do not exist."""
    from synthlaw.generate.engines.vllm import VLLMEngine

    return VLLMEngine(
        model=options.model,
        server=options.server,
        concurrency=options.concurrency or 256,
        tokenizer=options.tokenizer,
        api=options.api,
        fold_system=options.fold_system,
    )
