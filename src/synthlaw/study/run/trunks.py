"""Trunks: what warm-up–stable–decay runs of all budgets share, trained once and kept as artifacts.

    trunk to step 80 ─► to 160 ─► to 400 ─► to 800
              │            │         │         │
              └ cooldown   └ …       └ …       └ cooldown of the largest budget

A run is the same run whether it begins at step 0 or at a trunk's state, so its key does not name
the trunk: trunks save work and change nothing. A larger budget that is added later continues from
the last state. Trunks are trained first, one task each, then all branches, on any executor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from synthlaw.common.files import read_json, write_json
from synthlaw.study.grid import Run
from synthlaw.study.run.task import RunTask
from synthlaw.study.run.together import STATE, Piece, train_together, trunk_of
from synthlaw.study.store import Artifact, Store
from synthlaw.training.config import trunk_identity

if TYPE_CHECKING:  # brings torch
    from synthlaw.training.loop import TrainingProgress

STAGE = "trunk"
TRUNK_VERSION = 1


def trunk_tasks(runs: Iterable[Run], tasks: Mapping[str, RunTask]) -> dict[str, RunTask]:
    """One task for every trunk that the runs named in `tasks` begin at, by the trunk's name."""
    found: dict[str, RunTask] = {}
    for run in sorted(runs, key=lambda run: run.config.steps):
        task = tasks.get(run.name)
        if task is None or not run.config.trunk_steps:
            continue
        before = found[run.trunk].milestones if run.trunk in found else ()
        wanted = tuple(sorted({*before, run.config.trunk_steps}))
        update = {"name": f"trunk-{run.trunk}", "milestones": wanted}
        found[run.trunk] = task.model_copy(update=update)
    return found


def branch_points(runs: Iterable[Run]) -> dict[str, tuple[int, ...]]:
    """The steps at which cooldowns of the grid begin, rising, by trunk."""
    points: dict[str, set[int]] = {}
    for run in runs:
        if run.config.trunk_steps:
            points.setdefault(run.trunk, set()).add(run.config.trunk_steps)
    return {trunk: tuple(sorted(steps)) for trunk, steps in points.items()}


def find_state(task: RunTask, store: Store, step: int) -> Artifact | None:
    """The trunk's state after `step` steps, if it was trained."""
    return store.find(STAGE, _name(task, step), _key(task, store, step))


def latest_state(task: RunTask, store: Store, limit: int) -> tuple[int, Artifact] | None:
    """The last state of the task's trunk at or before step `limit`, with its step."""
    for step in sorted(task.branch_points, reverse=True):
        found = find_state(task, store, step) if step <= limit else None
        if found is not None:
            return step, found
    return None


def seconds_of(state: Artifact) -> float:
    """Seconds spent on all steps up to a state."""
    return float(read_json(state.file(STATE))["seconds"])


def grow_trunk(task: RunTask, store: Store, report: Callable[[float], None]) -> None:
    """Train to every milestone of the task that is not there, from the last state before it.

    A trunk that diverges ends early: its branches then begin at the last state before, and each
    is recorded as diverged where the trunk was.
    """
    from synthlaw.training.loop import train_trunk

    for step in task.milestones:
        if find_state(task, store, step) is not None:
            continue
        before = latest_state(task, store, step)
        name, key = _name(task, step), _key(task, store, step)
        work = store.work(STAGE, name, key)
        first, start, spent = 0, None, 0.0
        if before is not None:
            first, start, spent = before[0], before[1].path, seconds_of(before[1])
        if task.together:
            train_together(Piece(task=task, work=work, start=start, until=step))
            seconds, diverged = trunk_of(work)
            report(task.config.flops * (step - first) / task.config.steps)
        else:
            on_progress = reporter(task, first, report)
            sampler = task.sampler()
            state = train_trunk(
                task.config, sampler, work, step, start=start, on_progress=on_progress
            )
            seconds, diverged = state.seconds, state.diverged
        if diverged:
            return
        write_json(work / STATE, {"step": step, "seconds": seconds})
        store.adopt(STAGE, name, key, seconds - spent)


def reporter(
    task: RunTask, first: int, report: Callable[[float], None]
) -> Callable[[TrainingProgress], None]:
    """Tell `report` the FLOPs of every step after step `first`."""
    seen, per_step = first, task.config.flops / task.config.steps

    def on_progress(progress: TrainingProgress) -> None:
        nonlocal seen
        report(per_step * (progress.step - seen))
        seen = progress.step

    return on_progress


def trunk_key(task: RunTask, store: Store) -> str:
    """What tells the task's trunk from others, whatever its length."""
    return _key(task, store, 0)


def _name(task: RunTask, step: int) -> str:
    return f"{task.trunk}-{step}"


def _key(task: RunTask, store: Store, step: int) -> str:
    identity = trunk_identity(task.config.identity())
    inputs = {"config": identity, "sampler": task.sampler().identity(), "step": step}
    return store.key(STAGE, TRUNK_VERSION, inputs)


def trunk_states(tasks: Iterable[RunTask], store: Store) -> list[Artifact]:
    """Every state of the tasks' trunks that is there, each once."""
    trunks = {task.trunk: task for task in tasks}.values()
    found = [find_state(task, store, step) for task in trunks for step in task.branch_points]
    return [state for state in found if state is not None]
