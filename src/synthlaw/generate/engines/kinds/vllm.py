"""The engine `vllm`: a vLLM server on this machine, started and stopped by us."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from synthlaw.generate.engines.base import Engine

if TYPE_CHECKING:
    from synthlaw.generate.engines.registry import EngineSettings

TAKES = ("tokenizer", "api", "fold_system", "options", "command")


def check(settings: EngineSettings) -> None:
    """Raise UsageError where the command is not."""
    from synthlaw.generate.engines.vllm_options import OwnServer

    OwnServer(settings.command).program()


def make(settings: EngineSettings, log: Path) -> Engine:
    """A server of `model`. Raises UsageError for settings that do not exist."""
    from synthlaw.generate.engines.vllm import VLLMEngine
    from synthlaw.generate.engines.vllm_options import OwnServer

    return VLLMEngine(
        model=settings.model,
        server=OwnServer(settings.command, settings.options, log),
        concurrency=settings.concurrency or 256,
        tokenizer=settings.tokenizer,
        api=settings.api,
        fold_system=settings.fold_system,
    )
