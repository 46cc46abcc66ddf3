"""The engine `transformers`: a plain language model that continues a text, in this process."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from synthlaw.common.errors import MissingExtraError
from synthlaw.generate.engines.base import Engine

if TYPE_CHECKING:
    from synthlaw.generate.engines.registry import EngineSettings

TAKES = ()


def check(settings: EngineSettings) -> None:
    """Raise MissingExtraError without transformers."""
    if find_spec("transformers") is None:
        raise MissingExtraError("transformers", "rounds", "kind 'transformers'")


def make(settings: EngineSettings, log: Path) -> Engine:
    """A Hugging Face folder by `model`."""
    from synthlaw.generate.engines.continuing import ContinuingEngine

    return ContinuingEngine(settings.model)
