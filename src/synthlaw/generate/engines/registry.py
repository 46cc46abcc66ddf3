"""The kinds of engines by name."""

from __future__ import annotations

from collections.abc import Sequence

from synthlaw.common.errors import UsageError
from synthlaw.generate.engines.base import Engine
from synthlaw.generate.engines.vllm_options import OwnServer

ENGINE_KINDS = ("embedded", "openai", "vllm")

TAKEN_BY = {
    "base_url": ("openai",),
    "tokenizer": ("openai", "vllm"),
    "api": ("openai", "vllm"),
    "fold_system": ("openai", "vllm"),
    "threads": ("embedded",),
    "options": ("vllm",),
    "command": ("vllm",),
}
"""Settings that only some kinds take."""


def not_taken(kind: str, given: Sequence[str]) -> str:
    """What to say of the settings in `given` that `kind` does not take; empty without any."""
    wrong = [name for name in given if kind not in TAKEN_BY.get(name, ENGINE_KINDS)]
    return "; ".join(
        f"found '{name}', which only kind{'s' * (len(TAKEN_BY[name]) > 1)} "
        f"{' and '.join(repr(one) for one in TAKEN_BY[name])} take{'s' * (len(TAKEN_BY[name]) < 2)}"
        for name in wrong
    )


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
    server: OwnServer | None = None,
) -> Engine:
    """An engine by kind. Raises UsageError for a kind or a setting that does not exist.

    model: for `embedded` a GGUF file (default: the packaged SmolLM2-135M-Instruct), for `openai`
    the name the server knows (default: what the server lists first), for `vllm` what it serves.
    tokenizer, api, fold_system: see OpenAIEngine. server: of `vllm`, how it is run. threads: of
    `embedded` (default: every core). Settings that the kind does not take are refused.
    """
    if kind not in ENGINE_KINDS:
        raise UsageError(f"engine: found {kind!r}; expected one of {', '.join(ENGINE_KINDS)}")
    server = server or OwnServer()
    given = {
        "base_url": base_urls,
        "tokenizer": tokenizer,
        "api": api != "chat",
        "fold_system": fold_system,
        "threads": threads,
        "options": server.options,
        "command": server.command != OwnServer().command,
    }
    if wrong := not_taken(kind, [name for name, value in given.items() if value]):
        raise UsageError(f"engine {kind!r}: {wrong}")
    if kind == "embedded":
        from synthlaw.generate.engines.openvino import EmbeddedEngine

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
    from synthlaw.generate.engines.vllm import VLLMEngine

    return VLLMEngine(
        model=model,
        server=server,
        concurrency=concurrency or 256,
        tokenizer=tokenizer,
        api=api,
        fold_system=fold_system,
    )
