"""Executors by name: every module of `executors/` is one."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Any

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.execute import executors
from synthlaw.execute.base import Executor, ExecutorSettings
from synthlaw.execute.inline import InlineExecutor


def executor_names() -> list[str]:
    """Names that `make_executor` knows, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(executors.__path__))


def make_executor(name: str, settings: ExecutorSettings) -> Executor:
    """An executor by name. Raises UsageError for a name that there is not, or wrong settings."""
    if name not in executor_names():
        raise UsageError(f"executor: found {name!r}; expected one of {', '.join(executor_names())}")
    made: Executor = import_module(f"{executors.__name__}.{name}").make(settings)
    return made


def live_jobs(root: Path) -> dict[str, Any]:
    """Jobs of a study folder's executors that are queued or running, whoever started them.

    {"jobs": [{"job", "state", "hosts", "log"}], "unknown": why, where a queue does not answer}.
    """
    jobs: list[dict[str, Any]] = []
    unknown = ""
    for name in executor_names():
        if not (root / name).is_dir():
            continue
        look = getattr(import_module(f"{executors.__name__}.{name}"), "live_jobs", None)
        try:
            jobs += look(root / name) if look else []
        except SynthlawError as error:
            unknown = str(error)
    return {"jobs": jobs, "unknown": unknown}


def here(workers: int, jobs: int) -> Executor:
    """For `jobs` jobs on this machine: worker processes where there is work for two, else none."""
    if min(workers, jobs) < 2:
        return InlineExecutor()
    return make_executor("local", ExecutorSettings(workers=min(workers, jobs)))
