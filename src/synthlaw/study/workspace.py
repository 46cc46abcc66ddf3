"""What the stages of one study share: its file, its folder, its store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from synthlaw.common.progress import say
from synthlaw.execute.base import Executor
from synthlaw.execute.inline import InlineExecutor
from synthlaw.study.digests import InputDigests
from synthlaw.study.spec import Study
from synthlaw.study.store import Store

STAGES = ("corpus", "generate", "tokens", "training", "evaluation", "statistics", "laws", "report")
"""The stages in order; `--until` names one of them."""


@dataclass
class Workspace:
    """A study being run.

    base: the folder that relative paths in the study file start from. executor: of the jobs that
    prepare its data and describe it, one thread each. run_executor: of its runs, with the threads
    and GPUs that they have. missing: runs that failed for good and may be missing, and why.
    """

    study: Study
    base: Path
    store: Store
    executor: Executor = field(default_factory=InlineExecutor)
    run_executor: Executor = field(default_factory=InlineExecutor)
    missing: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The study folder."""
        return self.store.root

    @property
    def generation_executor(self) -> Executor:
        """Of the jobs that generate; they need what a run needs, unless servers do the work."""
        generators = self.study.generate.used_generators.values()
        return self.executor if all(g.base_url for g in generators) else self.run_executor

    @cached_property
    def digests(self) -> InputDigests:
        """Digests of input files."""
        return InputDigests(self.root / "inputs.json")

    @contextmanager
    def stage(self, name: str, what: str) -> Iterator[None]:
        """Announce a stage and keep its time."""
        say(f"[{STAGES.index(name) + 1}/{len(STAGES)}] {name}: {what}")
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - started
