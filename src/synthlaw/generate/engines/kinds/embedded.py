"""The engine `embedded`: a small model on this machine's CPU, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from synthlaw.generate.engines.base import Engine

if TYPE_CHECKING:
    from synthlaw.generate.engines.registry import EngineSettings

TAKES = ("threads",)


def make(settings: EngineSettings, log: Path) -> Engine:
    """The packaged model, or a GGUF file by `model`."""
    from synthlaw.generate.engines.openvino import EmbeddedEngine

    return EmbeddedEngine(
        model=settings.model, concurrency=settings.concurrency or 32, threads=settings.threads
    )
