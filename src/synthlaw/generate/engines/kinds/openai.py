"""The engine `openai`: any servers that speak that protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from synthlaw.generate.engines.base import Engine

if TYPE_CHECKING:
    from synthlaw.generate.engines.registry import EngineSettings

TAKES = ("base_url", "tokenizer", "api", "fold_system")


def make(settings: EngineSettings, log: Path) -> Engine:
    """A client of the servers at `base_url`. Raises UsageError for settings that do not exist."""
    from synthlaw.generate.engines.openai import OpenAIEngine

    return OpenAIEngine(
        base_urls=settings.base_url,
        model=settings.model,
        concurrency=settings.concurrency or 64,
        tokenizer=settings.tokenizer,
        api=settings.api,
        fold_system=settings.fold_system,
    )
