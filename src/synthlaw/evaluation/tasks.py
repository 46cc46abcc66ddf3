"""Downstream tasks through EleutherAI's lm-evaluation-harness, on an exported model.

Needs the extra `tasks`. The harness, its tasks and its metrics are used as they are: a number here
is what `lm_eval --model hf` gives for the same folder.
"""

from __future__ import annotations

import contextlib
import difflib
import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import MissingExtraError, SynthlawError, UsageError

TASKS_VERSION = 1
_YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class TaskSettings:
    """Which tasks, and how. tasks: names that the harness knows, or YAML files of one task each.

    shots: examples before each question (None: the task's own number). limit: at most so many
    documents per task, the first ones (None: all).
    """

    tasks: tuple[str, ...]
    shots: int | None = None
    limit: int | None = None

    def identity(self) -> dict[str, Any]:
        """What determines the results beside the model; the tasks' data is taken as fixed."""
        files = {name: file_digest(Path(name)) for name in self.tasks if is_file(name)}
        versions = {name: _version(name) for name in ("lm-eval", "transformers")}
        return {"version": TASKS_VERSION, **asdict(self), "files": files, "packages": versions}


@dataclass(frozen=True)
class TaskResult:
    """One metric of one task. stderr: over documents, None where the harness gives none.

    filter: how answers were extracted, 'none' mostly. documents: how many were scored.
    """

    task: str
    metric: str
    filter: str
    value: float
    stderr: float | None
    higher_is_better: bool | None
    documents: int | None
    shots: int | None


def check_tasks(settings: TaskSettings) -> None:
    """Raise MissingExtraError without the harness, UsageError for a task that it does not know."""
    _named(settings, _manager(settings))


def run_tasks(
    folder: Path,
    settings: TaskSettings,
    *,
    device: str = "cpu",
    batch_rows: int = 16,
    quiet: bool = False,
) -> list[TaskResult]:
    """Run the tasks on a Hugging Face folder with its tokenizer; `quiet` hides progress bars.

    Raises SynthlawError when a task fails, as it does when its data cannot be fetched.
    """
    manager = _manager(settings)
    names = _named(settings, manager)
    from lm_eval import simple_evaluate

    with contextlib.ExitStack() as stack:
        shown: TextIO = sys.stderr
        if quiet:
            shown = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stderr(shown))
        # The harness prints to standard output, which is ours.
        stack.enter_context(contextlib.redirect_stdout(shown))
        try:
            found = simple_evaluate(
                model="hf",
                model_args={"pretrained": str(folder), "dtype": "float32"},
                tasks=names,
                task_manager=manager,
                num_fewshot=settings.shots,
                limit=settings.limit,
                batch_size=batch_rows,
                device=device,
                log_samples=False,
            )
        except Exception as error:  # datasets, hub and tasks raise what they like
            raise SynthlawError(
                f"tasks {', '.join(names)}: the harness failed: {type(error).__name__}: {error}"
            ) from error
    return _results(found)


def task_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Columns of the runs table: value by `task/<task>/<metric>`, with a filter's name if any."""
    columns = {}
    for row in rows:
        kind = "" if row["filter"] == "none" else f",{row['filter']}"
        columns[f"task/{row['task']}/{row['metric']}{kind}"] = row["value"]
    return columns


def _manager(settings: TaskSettings) -> Any:
    try:
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise MissingExtraError("lm-eval", "tasks", "running downstream tasks") from error
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    folders = sorted({str(Path(n).resolve().parent) for n in settings.tasks if is_file(n)})
    # Its own tasks are thousands of files, read only where one is named.
    known = any(not is_file(name) for name in settings.tasks)
    return TaskManager(include_path=folders or None, include_defaults=known)


def _named(settings: TaskSettings, manager: Any) -> list[str]:
    """The tasks' names. Raises UsageError for an unknown one, with its nearest neighbours."""
    names = []
    for task in settings.tasks:
        name = _name_in(Path(task)) if is_file(task) else task
        if name not in manager.all_tasks:
            near = difflib.get_close_matches(name, manager.all_tasks, 3)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise UsageError(
                f"task {name!r}: the harness has no such task{hint} (`lm-eval ls tasks` lists "
                "them; a task of your own is a path to its YAML file)"
            )
        names.append(name)
    return names


def is_file(task: str) -> bool:
    """Whether a task is named by its file."""
    return task.endswith(_YAML)


def _name_in(path: Path) -> str:
    """The task that a YAML file of the harness defines; it may hold tags only the harness reads."""
    try:
        found = re.search(r"^task:\s*['\"]?([^\s'\"#]+)", path.read_text("utf-8"), re.MULTILINE)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
    if found is None:
        raise UsageError(f"{path}: found no line 'task: NAME'; expected a task of the harness")
    return found[1]


def _results(found: Mapping[str, Any]) -> list[TaskResult]:
    rows = []
    for task, figures in found["results"].items():
        better = found.get("higher_is_better", {}).get(task, {})
        counts = found.get("n-samples", {}).get(task, {})
        for key, value in figures.items():
            metric, comma, kind = key.partition(",")
            if not comma or metric.endswith("_stderr") or not isinstance(value, int | float):
                continue
            stderr = figures.get(f"{metric}_stderr,{kind}")
            rows.append(
                TaskResult(
                    task=task,
                    metric=metric,
                    filter=kind,
                    value=float(value),
                    stderr=float(stderr) if isinstance(stderr, int | float) else None,
                    higher_is_better=better.get(metric),
                    documents=counts.get("effective"),
                    shots=found.get("n-shot", {}).get(task),
                )
            )
    return rows


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
