"""Engines by kind: every module of `kinds/` is one, so a new kind is one new file.

Such a module has `make(options)`, which gives the engine, and may name the settings that it takes
(`TAKES`, as users name them) besides model and concurrency; without it, it takes all.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from synthlaw.common.errors import UsageError
from synthlaw.generate.engines import kinds
from synthlaw.generate.engines.base import Engine
from synthlaw.generate.engines.options import EngineOptions
from synthlaw.generate.engines.vllm_options import OwnServer


def engine_kinds() -> list[str]:
    """Kinds that `make_engine` knows, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(kinds.__path__))


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
    return import_module(f"{kinds.__name__}.{kind}")


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
    """An engine by kind; see EngineOptions for the settings.

    Raises UsageError for a kind that does not exist or a setting that it does not take.
    """
    if kind not in engine_kinds():
        raise UsageError(f"engine: found {kind!r}; expected one of {', '.join(engine_kinds())}")
    own = server or OwnServer()
    options = EngineOptions(
        model, base_urls, concurrency, tokenizer, threads, api, fold_system, own
    )
    if wrong := not_taken(kind, options.given()):
        raise UsageError(f"engine {kind!r}: {wrong}")
    made: Engine = _module(kind).make(options)
    return made
