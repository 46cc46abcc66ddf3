"""Downstream tasks of a study: which, and each trained run's answers as an artifact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from synthlaw.common.files import read_json, write_json
from synthlaw.evaluation.tasks import TaskSettings, is_file
from synthlaw.study.run.task import RunTask
from synthlaw.study.store import Artifact, Store
from synthlaw.study.workspace import Workspace

TASKS = "tasks.json"
DOWNSTREAM_VERSION = 1


def task_settings(space: Workspace) -> TaskSettings | None:
    """The tasks that the study names, files taken from its own folder."""
    wanted = space.study.evaluation
    if not wanted.tasks:
        return None
    named = tuple(
        str(space.study.place(task, space.base).resolve()) if is_file(task) else task
        for task in wanted.tasks
    )
    return TaskSettings(named, wanted.task_shots, wanted.task_limit)


def find_answers(task: RunTask, store: Store, trained: Artifact) -> Artifact | None:
    """The run's answers, if they are there."""
    return store.find("evaluation", f"tasks-{task.name}", _key(task, store, trained))


def _key(task: RunTask, store: Store, trained: Artifact) -> str:
    assert task.downstream is not None
    inputs = {"model": trained.content, "tasks": task.downstream.identity()}
    return store.key("evaluation", DOWNSTREAM_VERSION, inputs)


def answer_tasks(task: RunTask, store: Store, trained: Artifact) -> None:
    """Run what the task names on the trained model, unless it is done or nothing is named."""
    from synthlaw.evaluation.loading import exported, load_any
    from synthlaw.evaluation.tasks import run_tasks
    from synthlaw.tokens.tokenizer import Tokenizer
    from synthlaw.training.device import cpu_threads

    if task.downstream is None or find_answers(task, store, trained) is not None:
        return
    assert task.tokenizer is not None
    key = _key(task, store, trained)
    with (
        store.making("evaluation", f"tasks-{task.name}", key) as aside,
        cpu_threads(task.config.threads),
        exported(load_any(trained.file("model")), Tokenizer(task.tokenizer)) as folder,
    ):
        rows = run_tasks(folder, task.downstream, quiet=True)
        write_json(aside / TASKS, [asdict(row) for row in rows])


def answers_of(task: RunTask, store: Store, trained: Artifact) -> list[Mapping[str, Any]]:
    """Rows of `evaluation.tasks.TaskResult`; none where there are no answers."""
    if task.downstream is None:
        return []
    found = find_answers(task, store, trained)
    return [] if found is None else list(read_json(found.file(TASKS)))
