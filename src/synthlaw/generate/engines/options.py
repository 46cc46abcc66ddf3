"""What a user says of an engine, whatever its kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from synthlaw.generate.engines.vllm_options import OwnServer


@dataclass(frozen=True)
class EngineOptions:
    """What a user says of an engine.

    model: for `embedded` a GGUF file (default: the packaged SmolLM2-135M-Instruct), for `openai`
    the name the server knows (default: what the server lists first), for `vllm` what it serves.
    tokenizer, api, fold_system: see OpenAIEngine. server: of `vllm`, how it is run. threads: of
    `embedded` (default: every core).
    """

    model: str | None = None
    base_urls: Sequence[str] = ()
    concurrency: int | None = None
    tokenizer: str | None = None
    threads: int | None = None
    api: str = "chat"
    fold_system: bool = False
    server: OwnServer = field(default_factory=OwnServer)

    def given(self) -> list[str]:
        """Settings that differ from their defaults, as users name them."""
        own = OwnServer()
        found = {
            "base_url": self.base_urls,
            "tokenizer": self.tokenizer,
            "api": self.api != "chat",
            "fold_system": self.fold_system,
            "threads": self.threads,
            "options": self.server.options,
            "command": self.server.command != own.command,
        }
        return [name for name, value in found.items() if value]
