"""Engines by kind: every module of `kinds/` is one, so a new kind is one new file."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from synthlaw.common.errors import UsageError
from synthlaw.generate.engines import kinds
from synthlaw.generate.engines.base import Engine


@dataclass(frozen=True)
class EngineOptions:
    """What a user says of an engine; a kind takes what concerns it.

    model: for `embedded` a GGUF file (default: the packaged SmolLM2-135M-Instruct), for `openai`
    the name the server knows (default: what the server lists first). base_urls, tokenizer, api:
    of `openai` only. fold_system: of `openai` and `vllm`. See OpenAIEngine. threads: of `embedded`
    only (default: every core).
    """

    model: str | None = None
    base_urls: Sequence[str] = ()
    concurrency: int | None = None
    tokenizer: str | None = None
    threads: int | None = None
    api: str = "chat"
    fold_system: bool = False


def engine_kinds() -> list[str]:
    """Kinds that `make_engine` knows, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(kinds.__path__))


def make_engine(
    kind: str,
    *,
    model: str | None = None,
    base_urls: Sequence[str] = (),
    concurrency: int | None = None,
    tokenizer: str | None = None,
    threads: int | None = None,
    api: str = "chat",
    fold_system: bool = False,
) -> Engine:
    """An engine by kind; see EngineOptions for the settings.

    Raises UsageError for a kind or a setting that does not exist.
    """
    if kind not in engine_kinds():
        raise UsageError(f"engine: found {kind!r}; expected one of {', '.join(engine_kinds())}")
    options = EngineOptions(model, base_urls, concurrency, tokenizer, threads, api, fold_system)
    made: Engine = import_module(f"{kinds.__name__}.{kind}").make(options)
    return made
