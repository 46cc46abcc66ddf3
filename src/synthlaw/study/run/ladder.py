"""The ladder: every run of the grid trained and scored, through an executor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.files import read_json, write_json
from synthlaw.common.progress import meter
from synthlaw.study.grid import Run
from synthlaw.study.mixing import phases_of_run
from synthlaw.study.run.downstream import answers_of, task_settings
from synthlaw.study.run.execute import SUMMARY, find_finished
from synthlaw.study.run.local import Executor
from synthlaw.study.run.task import RunTask
from synthlaw.study.run.trunks import branch_points, trunk_tasks
from synthlaw.study.store import Artifact
from synthlaw.study.workspace import Workspace
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.sampler import MixtureSampler, SourceUse
from synthlaw.training.presets import flops_per_token

UNTRAINED = "untrained"
FAILURES = "failures.json"
"""Runs that failed when they were last tried, with the reason; a rerun tries them again."""


@dataclass(frozen=True)
class Finished:
    """A run with its result (`result.json`) and its scores by domain; None when it diverged.

    training: the folder of what training left. evaluation: the same of scoring.
    answers: rows of `evaluation.tasks.TaskResult`, of a study that names downstream tasks.
    """

    run: Run
    result: Mapping[str, Any]
    scores: Mapping[str, Any] | None
    training: Path
    evaluation: Path | None
    answers: Sequence[Mapping[str, Any]] = ()


def tasks_of(
    space: Workspace,
    runs: list[Run],
    sources: Mapping[str, Artifact],
    domains: Mapping[str, Artifact],
    tokenizer: str,
) -> dict[str, RunTask]:
    """The grid as tasks by run name, and one task per size and seed for the untrained models."""
    study = space.study
    largest = max((run.config.shape.params, run.config.tokens) for run in runs)
    tasks: dict[str, RunTask] = {}
    points = branch_points(runs)
    for run in runs:
        phases = phases_of_run(study, run.mixture, run.windows)
        read = dict.fromkeys(n for phase in phases for n, share in phase.shares.items() if share)
        tasks[run.name] = RunTask(
            root=space.root,
            name=run.name,
            config=run.config,
            phases=[(phase.start, dict(phase.shares)) for phase in phases],
            sources={name: sources[name].path for name in read},
            data_seed=run.data_seed,
            max_epochs=study.ladder.max_epochs,
            unique={n: u for n, u in study.ladder.unique_tokens.items() if n in read},
            domains={name: artifact.path for name, artifact in domains.items()},
            processes=study.execution.gpus_per_run or 1,
            # One run per mixture shows which tokens carry the loss.
            keep_losses=run.seed == study.ladder.seeds[0]
            and (run.config.shape.params, run.config.tokens) == largest,
            trunk=run.trunk,
            branch_points=points.get(run.trunk, ()),
            downstream=task_settings(space),
            tokenizer=tokenizer,
        )
        name = f"{UNTRAINED}-{run.size}-s{run.seed}"
        if name not in tasks:
            # The smallest budget stands for all: what is not trained does not depend on it.
            tasks[name] = tasks[run.name].model_copy(
                update={"name": name, "train": False, "keep_losses": False, "downstream": None}
            )
    return tasks


def check_budgets(
    space: Workspace, runs: list[Run], sources: Mapping[str, Artifact]
) -> dict[str, list[SourceUse]]:
    """What every run reads of its sources. Raises UsageError for a budget beyond the data."""
    uses: dict[str, list[SourceUse]] = {}
    sets = {name: TokenDataset(artifact.path) for name, artifact in sources.items()}
    study = space.study
    for run in runs:
        sampler = MixtureSampler(
            sets,
            phases_of_run(study, run.mixture, run.windows),
            context=study.training.context,
            seed=run.data_seed,
            max_epochs=study.ladder.max_epochs,
            unique=study.ladder.unique_tokens,
        )
        try:
            sampler.check(run.windows)
        except UsageError as error:
            raise UsageError(f"ladder.budgets: run {run.name}: {error}") from None
        uses[run.name] = sampler.use(run.windows)
    return uses


def train_and_score(
    space: Workspace, runs: list[Run], tasks: Mapping[str, RunTask], executor: Executor
) -> list[str]:
    """Execute what is not finished. Returns the artifacts made.

    Raises SynthlawError naming every run that failed, after all others are done.
    """
    waiting = [task for task in tasks.values() if find_finished(task, space.store) is None]
    made: list[str] = []
    if not waiting:
        return made
    scored = sum(TokenDataset(path).manifest.tokens for path in waiting[0].domains.values())
    trunks = trunk_tasks(runs, {task.name: task for task in waiting if task.train})
    total = sum(task.flops for task in [*trunks.values(), *waiting])
    total += sum(_scoring_flops(task, scored) for task in waiting)
    done = 0
    with meter("training", max(total, 1.0), "FLOP") as bar:

        def on_progress(flops: float) -> None:
            bar.advance(flops)

        def on_done(task: RunTask, artifacts: list[str]) -> None:
            nonlocal done
            made.extend(artifacts)
            if task.milestones:
                return
            done += 1
            bar.advance(_scoring_flops(task, scored), f"{done}/{len(waiting)} runs")

        failures = executor.run(trunks.values(), on_progress, on_done) if trunks else []
        failed = {failure.run for failure in failures}
        broken = [name for name, task in trunks.items() if task.name in failed]
        ready = [task for task in waiting if not (task.train and task.trunk in broken)]
        failures += executor.run(ready, on_progress, on_done)
    write_json(space.root / FAILURES, {failure.run: failure.message for failure in failures})
    if failures:
        listed = "\n".join(f"  {failure.run}: {failure.message}" for failure in failures)
        raise SynthlawError(
            f"{len(failures)} of {len(waiting) + len(trunks)} runs failed; the others are done and "
            f"kept. Run again to try these once more:\n{listed}"
        )
    return made


def _scoring_flops(task: RunTask, tokens: int) -> float:
    """FLOPs of scoring `tokens`: windows overlap by half, and a forward pass is a third."""
    return 2 * tokens * flops_per_token(task.config.shape, task.config.context) / 3


def collect(
    space: Workspace, runs: list[Run], tasks: Mapping[str, RunTask]
) -> tuple[list[Finished], dict[str, Mapping[str, Any]]]:
    """Results and scores of every run; and the untrained models' scores by size and seed."""
    finished = []
    for run in runs:
        found = find_finished(tasks[run.name], space.store)
        if found is None:
            raise SynthlawError(f"run {run.name} is not finished")
        trained, evaluated = found
        finished.append(
            Finished(
                run=run,
                result=read_json(trained.file("result.json")),
                scores=read_json(evaluated.file(SUMMARY)) if evaluated else None,
                training=trained.path,
                evaluation=evaluated.path if evaluated else None,
                answers=answers_of(tasks[run.name], space.store, trained),
            )
        )
    untrained = {}
    for name, task in tasks.items():
        if not task.train:
            found = find_finished(task, space.store)
            if found is not None and found[1] is not None:
                untrained[name] = read_json(found[1].file(SUMMARY))
    return finished, untrained
