"""Engines in Python: `sl.engines.OpenAI(url, model)` and its siblings describe one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from synthlaw.common.settings import validated
from synthlaw.generate.engines.registry import EngineSettings

__all__ = ["VLLM", "Embedded", "OpenAI", "Transformers"]


def OpenAI(base_url: str | Sequence[str], model: str | None = None, **more: Any) -> EngineSettings:  # noqa: N802
    """Servers that speak the OpenAI protocol, by address; the key comes from SYNTHLAW_API_KEY.

    model: its name there, by default what the server lists first. more: concurrency, tokenizer, api
    ("chat" or "completions"), fold_system. Raises UsageError for what is wrong in them.
    """
    return _engine("openai", base_url=base_url, model=model, **more)


def VLLM(model: str, **more: Any) -> EngineSettings:  # noqa: N802
    """A vLLM server of `model` on this machine, started and stopped by us.

    more: options (of `vllm serve`), command, concurrency, tokenizer, api, fold_system.
    """
    return _engine("vllm", model=model, **more)


def Embedded(model: str | None = None, **more: Any) -> EngineSettings:  # noqa: N802
    """A small model on this machine's CPU: a GGUF file, by default the packaged SmolLM2-135M.

    more: threads, concurrency.
    """
    return _engine("embedded", model=model, **more)


def Transformers(folder: str) -> EngineSettings:  # noqa: N802
    """A plain language model that continues a text, from a Hugging Face folder."""
    return _engine("transformers", model=folder)


def _engine(kind: str, **settings: Any) -> EngineSettings:
    said = {name: value for name, value in settings.items() if value is not None}
    return validated(EngineSettings, {"kind": kind, **said})
