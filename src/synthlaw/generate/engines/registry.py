"""Engines by kind: every module of `kinds/` is one, so a new kind is one new file.

Such a module has `make(settings, log)`, which gives the engine (log: a file for what a server says
that it starts), and may name the settings that it takes (`TAKES`) besides model and concurrency;
without it, it takes all. `check(settings)`, where there is one, raises UsageError for a package or
a program that is not on this machine.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from synthlaw.common.errors import UsageError
from synthlaw.common.settings import Settings, validated
from synthlaw.generate.engines.base import Engine
from synthlaw.generate.engines.vllm_options import Option, arguments, parse_options

_KINDS = "synthlaw.generate.engines.kinds"


def engine_kinds() -> list[str]:
    """Kinds that `make_engine` knows, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(import_module(_KINDS).__path__))


class EngineSettings(Settings):
    """An engine, as a study file, the command line and Python describe it."""

    kind: str = Field(
        "embedded", description="embedded, openai, vllm, transformers, or a kind added to them"
    )
    base_url: tuple[str, ...] = Field((), description="servers of kind openai")
    model: str | None = Field(
        None,
        description="name on the server (default: what it lists first), what vllm serves, a "
        "folder (transformers), or a GGUF file (embedded; default: the packaged "
        "SmolLM2-135M-Instruct)",
    )
    concurrency: int | None = Field(
        None,
        gt=0,
        description="requests in flight, over all servers: a few more than they have places; "
        "default: openai 64, vllm 256, embedded 32",
    )
    tokenizer: str | None = Field(
        None, description="tokenizer.json that counts the server's tokens"
    )
    api: Literal["chat", "completions"] = Field("chat", description="of servers")
    fold_system: bool = Field(False, description="system prompt into the user's turn, on servers")
    threads: int | None = Field(None, gt=0, description="CPU threads (embedded); default: all")
    options: dict[str, Option] = Field(
        default_factory=dict, description="of `vllm serve`, such as max-model-len: 4096"
    )
    command: str = Field(
        "vllm", description="what runs vLLM, where it is not on PATH, such as vllm-env/bin/vllm"
    )

    @field_validator("kind")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in engine_kinds():
            raise ValueError(f"found {value!r}; expected one of {', '.join(engine_kinds())}")
        return value

    @field_validator("base_url", mode="before", json_schema_input_type=str | list[str])
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("options", mode="before", json_schema_input_type=dict[str, Option] | list[str])
    @classmethod
    def _parsed(cls, value: Any) -> Any:
        """Options from NAME=VALUE too, as a command line has them."""
        try:
            read = parse_options(value) if isinstance(value, list | tuple) else value
            arguments(read if isinstance(read, Mapping) else {})
        except UsageError as error:
            raise ValueError(str(error)) from error
        return read

    @model_validator(mode="after")
    def _taken_by_the_kind(self) -> Self:
        plain = EngineSettings.model_construct()
        given = [n for n in EngineSettings.model_fields if getattr(self, n) != getattr(plain, n)]
        if wrong := not_taken(self.kind, given):
            raise ValueError(wrong)
        return self


def check_engine(settings: EngineSettings) -> None:
    """Raise UsageError when what the kind needs is not on this machine; a model may be to come."""
    check = getattr(_module(settings.kind), "check", None)
    if check is not None:
        check(settings)


def make_engine(settings: EngineSettings, log: Path = Path("vllm.log")) -> Engine:
    """The engine that the settings describe. log: for what a server says that is started here.

    Raises UsageError for a model, tokenizer or command that does not exist.
    """
    made: Engine = _module(settings.kind).make(settings, log)
    return made


def engine_by(**settings: Any) -> Engine:
    """The engine by its settings. Raises UsageError for what is wrong in them; see make_engine."""
    return make_engine(validated(EngineSettings, settings))


def not_taken(kind: str, given: Sequence[str]) -> str:
    """What to say of the settings in `given` that `kind` does not take; empty without any."""
    takes = _takes(kind)
    wrong = [] if takes is None else [name for name in given if name in _known() - takes]
    return "; ".join(f"found '{name}', which only {_takers(name)}" for name in wrong)


def _takers(name: str) -> str:
    """Kinds that take a setting, as the end of a sentence."""
    named = [repr(kind) for kind in engine_kinds() if name in (_takes(kind) or ())]
    return f"kinds {' and '.join(named)} take" if len(named) > 1 else f"kind {named[0]} takes"


def _known() -> set[str]:
    """Settings that some kinds take and others may not."""
    return set[str]().union(*(_takes(kind) or () for kind in engine_kinds()))


def _takes(kind: str) -> frozenset[str] | None:
    takes: Sequence[str] | None = getattr(_module(kind), "TAKES", None)
    return None if takes is None else frozenset(takes)


def _module(kind: str) -> ModuleType:
    return import_module(f"{_KINDS}.{kind}")
