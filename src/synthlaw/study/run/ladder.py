"""The ladder: every run of the grid trained and scored, through an executor."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.files import read_json, write_json
from synthlaw.common.progress import Meter, meter, say
from synthlaw.execute.base import Executor, Failure
from synthlaw.study.grid import Run
from synthlaw.study.mixing import phases_of_run
from synthlaw.study.plan import speeds_of
from synthlaw.study.repetition import unique_tokens
from synthlaw.study.run.downstream import answers_of, task_settings
from synthlaw.study.run.execute import JOB, SUMMARY, find_finished
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
    shown = _runs_that_show_tokens(study.seeds, runs)
    tasks: dict[str, RunTask] = {}
    points = branch_points(runs)
    for run in runs:
        phases = phases_of_run(study, run.mixture, run.windows)
        nodes, processes = study.execution.world_of(run.size)
        read = dict.fromkeys(n for phase in phases for n, share in phase.shares.items() if share)
        tasks[run.name] = RunTask(
            # Absolute, since a cluster's workers start in other folders.
            root=space.root.absolute(),
            name=run.name,
            config=run.config,
            phases=[(phase.start, dict(phase.shares)) for phase in phases],
            sources={name: sources[name].path.absolute() for name in read},
            data_seed=run.data_seed,
            max_epochs=study.ladder.max_epochs,
            unique=unique_tokens(study, run.mixture, run.windows),
            domains={name: one.path.absolute() for name, one in domains.items()},
            size=run.size,
            nodes=nodes,
            processes=processes,
            # One run per mixture shows which tokens carry the loss.
            keep_losses=run.name in shown,
            trunk=run.trunk,
            branch_points=points.get(run.trunk, ()),
            downstream=task_settings(space),
            tokenizer=tokenizer,
            trainer=study.trainer,
            base=space.base.absolute() if study.trainer else None,
        )
        name = f"{UNTRAINED}-{run.size}-s{run.seed}"
        if name not in tasks:
            # The smallest budget stands for all: what is not trained does not depend on it.
            tasks[name] = tasks[run.name].model_copy(
                update={
                    "name": name,
                    "train": False,
                    "keep_losses": False,
                    "downstream": None,
                    "trainer": None,
                }
            )
    return tasks


def _runs_that_show_tokens(seeds: Sequence[int], runs: Sequence[Run]) -> set[str]:
    """The largest run of each mixture, of its first seed: those that keep every token's loss."""

    def rank(run: Run) -> tuple[int, int, int]:
        return -seeds.index(run.seed), run.config.shape.params, run.config.tokens

    found: dict[str, Run] = {}
    for run in sorted(runs, key=rank):
        found[run.mixture] = run
    return {run.name for run in found.values()}


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
            unique=unique_tokens(study, run.mixture, run.windows),
        )
        try:
            sampler.check(run.windows)
        except UsageError as error:
            raise UsageError(f"ladder.budgets: run {run.name}: {error}") from None
        uses[run.name] = sampler.use(run.windows)
    return uses


def train_and_score(
    space: Workspace, runs: list[Run], tasks: Mapping[str, RunTask], *, allow_missing: int = 0
) -> list[str]:
    """Execute what is not finished, by the study's executor. Returns the artifacts made.

    allow_missing: so many runs may fail for good; they are named in `space.missing`. Raises
    SynthlawError naming every run that failed when more did, after all others are done.
    """
    waiting = [
        task
        for task in tasks.values()
        if task.name not in space.missing and find_finished(task, space.store) is None
    ]
    if not waiting:
        return []
    scored = sum(TokenDataset(path).manifest.tokens for path in waiting[0].domains.values())
    trunks = trunk_tasks(runs, {task.name: task for task in waiting if task.train})
    total = sum(task.flops for task in [*trunks.values(), *waiting])
    total += sum(_scoring_flops(task, scored) for task in waiting)
    with meter("training", max(total, 1.0), "FLOP") as bar:
        effort = _Effort(space.run_executor, bar, scored, len(waiting), _flops_per_second(space))
        effort.execute(list(trunks.values()))
        broken = [name for name, task in trunks.items() if task.name in effort.failed]
        effort.execute([task for task in waiting if not (task.train and task.trunk in broken)])
    write_json(space.root / FAILURES, {**space.missing, **effort.failed})
    if effort.failed:
        # A run whose trunk failed was not begun.
        space.missing |= {
            task.name: effort.failed.get(task.name) or effort.failed[trunks[task.trunk].name]
            for task in waiting
            if task.name in effort.failed or (task.train and task.trunk in broken)
        }
        _judge(space, len(waiting), all(run.name in space.missing for run in runs), allow_missing)
    return effort.made


def _judge(space: Workspace, asked: int, none_is_left: bool, allow_missing: int) -> None:
    """Go on without the missing runs, or raise SynthlawError."""
    missing = space.missing
    listed = "\n".join(f"  {name}: {message}" for name, message in missing.items())
    if len(missing) <= allow_missing and not none_is_left:
        say(f"  warning: {len(missing)} runs failed; going on without them:\n{listed}")
        return
    others = "none is done" if len(missing) == asked else "the others are done and kept"
    instead = f", or with --allow-missing {len(missing)} to go on without them"
    raise SynthlawError(
        f"{len(missing)} of {asked} runs failed; {others}. Run again to try these once more"
        f"{'' if none_is_left else instead}:\n{listed}"
    )


@dataclass
class _Effort:
    """Tasks given to an executor, and what came of them. scored: tokens that each run scores."""

    executor: Executor
    bar: Meter
    scored: int
    runs: int
    flops_per_second: float
    done: int = 0
    made: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def execute(self, tasks: list[RunTask]) -> None:
        """Execute all tasks, the largest first."""
        if not tasks:
            return
        outcomes = self.executor.map(
            JOB,
            [json.loads(task.model_dump_json()) for task in tasks],
            on_progress=self.bar.advance,
            seconds=self._seconds,
            kind=lambda payload: str(payload["size"]),
        )
        for number, result in outcomes:
            task = tasks[number]
            if isinstance(result, Failure):
                self.failed[task.name] = result.message
                continue
            self.made.extend(result)
            if not task.milestones:
                self.done += 1
                note = f"{self.done}/{self.runs} runs"
                self.bar.advance(_scoring_flops(task, self.scored), note)

    def _seconds(self, payload: Any) -> float:
        task = RunTask.model_validate(payload)
        return (task.flops + _scoring_flops(task, self.scored)) / self.flops_per_second


def _flops_per_second(space: Workspace) -> float:
    """A worker's speed, as measured here or by default."""
    return float(speeds_of(space.root)["flops_per_second"])


def _scoring_flops(task: RunTask, tokens: int) -> float:
    """FLOPs of scoring `tokens`: windows overlap by half, and a forward pass is a third."""
    return 2 * tokens * flops_per_token(task.config.shape, task.config.context) / 3


def collect(
    space: Workspace, runs: list[Run], tasks: Mapping[str, RunTask]
) -> tuple[list[Finished], dict[str, Mapping[str, Any]]]:
    """Results and scores of every run that is not missing; the untrained models' scores by size
    and seed."""
    finished = []
    for run in runs:
        found = find_finished(tasks[run.name], space.store)
        if found is None:
            if run.name in space.missing:
                continue
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
