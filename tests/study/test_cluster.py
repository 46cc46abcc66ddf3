"""Executors for clusters, on stand-ins: local processes for Slurm, a local Ray."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest
from sandbox import Sandbox

from synthlaw.common.errors import MissingExtraError
from synthlaw.study.pipeline import run_study
from synthlaw.study.run import cluster
from synthlaw.study.run.cluster import RayExecutor, SlurmExecutor
from synthlaw.study.run.local import Executor, LocalExecutor
from synthlaw.study.run.task import RunTask
from synthlaw.training.config import TrainingConfig
from synthlaw.training.presets import ModelShape


def run(sandbox: Sandbox, out: Path, executor: str) -> str:
    text = sandbox.write().read_text(encoding="utf-8")
    run_study(text, "study.yaml", sandbox.folder, out, executor=executor)
    return (out / "runs.csv").read_text(encoding="utf-8")


@pytest.fixture
def small(sandbox: Sandbox) -> Sandbox:
    """Two runs."""
    sandbox.value["ladder"] |= {
        "budgets": [512],
        "sizes": {"a": {"dim": 16, "layers": 1, "heads": 2}},
    }
    return sandbox


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ray", "slurm"])
def test_a_cluster_gives_the_same_runs_as_this_machine(
    small: Sandbox, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(cluster, "SlurmExecutor", partial(SlurmExecutor, cluster="local"))
    here = run(small, small.folder / "here", "local")
    assert run(small, small.folder / "there", name) == here


@pytest.mark.slow
@pytest.mark.parametrize("executor", [LocalExecutor(1, 1), SlurmExecutor(1, {}, "local")])
def test_every_run_that_fails_is_named(tmp_path: Path, executor: Executor) -> None:
    shape = ModelShape(dim=16, layers=1, heads=2, vocab=300)
    config = TrainingConfig(shape=shape, context=8, batch_tokens=8, budget=8)
    task = RunTask(
        root=tmp_path,
        name="lost",
        config=config,
        phases=[(0, {"natural": 1.0})],
        sources={"natural": tmp_path / "nowhere"},
        data_seed=0,
        max_epochs=1,
        domains={},
    )
    other = task.model_copy(update={"name": "lost too"})
    failures = executor.run([task, other], lambda flops: None, lambda task, made: None)
    assert {failure.run for failure in failures} == {"lost", "lost too"}
    assert all("nowhere" in failure.message for failure in failures)


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(MissingExtraError, match=r"synthlaw\[ray\]"):
        RayExecutor(1)
    with pytest.raises(MissingExtraError, match=r"synthlaw\[slurm\]"):
        SlurmExecutor(1, {})
