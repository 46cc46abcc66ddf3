"""The kinds of engines by name."""

from __future__ import annotations

from collections.abc import Sequence

from synthlaw.common.errors import UsageError
from synthlaw.generate.engines.base import Engine

ENGINE_KINDS = ("embedded", "openai", "vllm")


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
    """An engine by kind. Raises UsageError for a kind or a setting that does not exist.

    model: for `embedded` a GGUF file (default: the packaged SmolLM2-135M-Instruct), for `openai`
    the name the server knows (default: what the server lists first). base_urls, tokenizer, api:
    of `openai` only. fold_system: of `openai` and `vllm`. See OpenAIEngine. threads: of `embedded`
    only (default: every core).
    """
    if kind == "embedded":
        from synthlaw.generate.engines.openvino import EmbeddedEngine

        if base_urls:
            raise UsageError("engine 'embedded': found a base URL; use the engine 'openai' for it")
        return EmbeddedEngine(model=model, concurrency=concurrency or 32, threads=threads)
    if kind == "openai":
        from synthlaw.generate.engines.openai import OpenAIEngine

        return OpenAIEngine(
            base_urls=base_urls,
            model=model,
            concurrency=concurrency or 64,
            tokenizer=tokenizer,
            api=api,
            fold_system=fold_system,
        )
    if kind == "vllm":
        from synthlaw.generate.engines.vllm import VLLMEngine

        if base_urls:
            raise UsageError("engine 'vllm': found a base URL; use the engine 'openai' for it")
        return VLLMEngine(model=model, concurrency=concurrency or 256, fold_system=fold_system)
    raise UsageError(f"engine: found {kind!r}; expected one of {', '.join(ENGINE_KINDS)}")
