"""The engine `openai`: any servers that speak that protocol."""

from __future__ import annotations

from synthlaw.generate.engines.base import Engine
from synthlaw.generate.engines.options import EngineOptions

TAKES = ("base_url", "tokenizer", "api", "fold_system")


def make(options: EngineOptions) -> Engine:
    """A client of the servers at `base_urls`. Raises UsageError for settings that do not exist."""
    from synthlaw.generate.engines.openai import OpenAIEngine

    return OpenAIEngine(
        base_urls=options.base_urls,
        model=options.model,
        concurrency=options.concurrency or 64,
        tokenizer=options.tokenizer,
        api=options.api,
        fold_system=options.fold_system,
    )
