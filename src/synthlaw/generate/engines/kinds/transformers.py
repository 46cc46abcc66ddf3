"""The engine `transformers`: a plain language model that continues a text, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from synthlaw.generate.engines.base import Engine

if TYPE_CHECKING:
    from synthlaw.generate.engines.registry import EngineSettings

TAKES = ()


def make(settings: EngineSettings, log: Path) -> Engine:
    """A Hugging Face folder by `model`."""
    from synthlaw.generate.engines.continuing import ContinuingEngine

    return ContinuingEngine(settings.model)
