"""A study on real clusters: the same bytes as on this machine, whatever happens to its driver."""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ray_cluster import ray_cluster
from sandbox import Sandbox
from slurm_cluster import missing, slurm, slurm_cluster

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import UsageError
from synthlaw.study.pipeline import run_study
from synthlaw.study.run import execute as execute_module
from synthlaw.study.run.execute import execute
from synthlaw.study.run.task import RunTask
from synthlaw.study.status import status_lines, study_status


@pytest.fixture
def small(sandbox: Sandbox) -> Sandbox:
    """Four runs and two untrained models, without a generator."""
    sandbox.value["ladder"]["budgets"] = [512, 1024]
    sandbox.value["mixtures"] = {"CC": {"natural": 1.0}}
    del sandbox.value["generate"]
    return sandbox


@contextmanager
def cluster(name: str) -> Iterator[None]:
    """A real cluster of two nodes; skips where its packages are absent."""
    if name == "slurm" and missing():
        pytest.skip(missing())
    if name == "ray" and importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    # A short path, for sockets; another folder than the driver's, for relative paths.
    with tempfile.TemporaryDirectory(prefix="cluster-") as folder:
        up = {"slurm": slurm_cluster, "ray": ray_cluster}[name]
        with up(Path(folder)):
            yield


def run(small: Sandbox, out: str, executor: str) -> str:
    text = small.write().read_text(encoding="utf-8")
    run_study(text, "study.yaml", small.folder, Path(out), executor=executor, until="evaluation")
    return (Path(out) / "runs.csv").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ray", "slurm"])
def test_a_cluster_gives_the_same_runs_as_this_machine(
    small: Sandbox, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(small.folder)
    with cluster(name):
        there = run(small, "there", name)
    assert run(small, "here", "local") == there


def made(out: str) -> dict[str, str]:
    """Digests of all that a study rests on and says, by file."""
    root = Path(out)
    tables = [root / name for name in ("runs.csv", "laws.json", "advice.json")]
    tables += [path for path in (root / "statistics").iterdir() if path.suffix != ".json"]
    parts = list((root / "generated/hq").rglob("*.parquet"))
    sets = list((root / "artifacts/tokens").rglob("*.bin"))
    sets += list((root / "artifacts/tokens").rglob("tokenizer.json"))
    return {str(path.relative_to(root)): file_digest(path) for path in tables + parts + sets}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ray", "slurm"])
def test_every_stage_of_a_study_is_done_by_a_cluster_s_jobs(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(sandbox.folder)
    sandbox.value["ladder"] |= {
        "budgets": [512, 1024],
        "sizes": {"a": {"dim": 16, "layers": 1, "heads": 2}},
    }
    sandbox.value["evaluation"]["domains"] = {}
    sandbox.value["generate"]["workers"] = 2
    text = sandbox.write().read_text(encoding="utf-8")

    def study(out: str, executor: str) -> None:
        run_study(text, "study.yaml", sandbox.folder, Path(out), executor=executor, until="laws")

    study("here", "local")
    # What is small is left to the jobs, too, and cannot be done here.
    monkeypatch.setattr("synthlaw.common.parts.SMALL", {"B": 0, "documents": 100})
    for heavy in (
        "synthlaw.corpus.stages.read_stage",
        "synthlaw.tokens.writing.tokenize_files",
        "synthlaw.study.data.generated._here",
        "synthlaw.study.data.natural.train_bpe",
        "synthlaw.study.results.statistics.make_tables",
        "synthlaw.study.run.execute.execute",
    ):
        monkeypatch.setattr(heavy, lambda *args: pytest.fail("done by the driver"))
    with cluster(name):
        study("there", name)
    assert made("there") == made("here")


@pytest.mark.slow
def test_a_killed_driver_s_runs_are_waited_for_and_none_is_made_twice(
    small: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small.folder)
    # Runs of some seconds: each is a job of its own then.
    small.value["ladder"] |= {"budgets": ["100k", "200k"], "max_epochs": 100}
    command = [sys.executable, "-m", "synthlaw", "run", str(small.write()), "--out", "there"]
    command += ["--executor", "slurm", "--until", "evaluation", "--json"]
    with cluster("slurm"):
        first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 180
        while not list(Path("there/work/training").glob("*/metrics.jsonl")):
            assert first.poll() is None and time.monotonic() < until
            time.sleep(0.1)
        first.send_signal(signal.SIGKILL)
        first.wait()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    assert run(small, "here", "local") == Path("there/runs.csv").read_text(encoding="utf-8")
    runs = [path.parent for path in Path("there/artifacts/training").glob("*/result.json")]
    assert len(runs) == 4
    for folder in runs:  # two writers would have left a step twice
        rows = (folder / "metrics.jsonl").read_text().splitlines()
        steps = [json.loads(row)["step"] for row in rows]
        assert steps == list(range(1, len(steps) + 1))


@pytest.mark.slow
def test_several_machines_train_one_run(small: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines with a process each do what two processes of one machine do: trunk and runs."""
    monkeypatch.chdir(small.folder)
    small.value["training"] |= {"schedule": "wsd"}
    del small.value["ladder"]["sizes"]["a"]
    small.value["execution"] = {"workers": 1, "resources": {"b": {"gpus_per_run": 2}}}
    here = run(small, "here", "local")
    small.value["execution"] = {"resources": {"b": {"nodes": 2}}}
    with pytest.raises(UsageError, match=r"resources\.b\.nodes: found 2 with the executor 'local'"):
        run(small, "nowhere", "local")
    with cluster("slurm"):
        assert run(small, "there", "slurm") == here


def _status(out: str) -> dict[str, Any]:
    return study_status(Path(out))


def _until(condition: Callable[[], bool], seconds: float = 180) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, slurm("squeue", "-a")
        time.sleep(0.2)


@pytest.mark.slow
def test_a_driver_may_be_a_job_that_goes_back_to_the_queue_when_its_time_ends(
    small: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small.folder)
    small.value["ladder"] |= {"budgets": ["100k", "200k"], "max_epochs": 100}
    command = [sys.executable, "-m", "synthlaw", "run", str(small.write()), "--out", "there"]
    command += ["--executor", "slurm", "--until", "evaluation", "--detach"]
    with cluster("slurm"):
        slurm("scontrol", "update", "nodename=n[1-2]", "state=drain", "reason=test")
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        number = re.search(r"Slurm job (\d+)", said)
        assert number is not None, said
        again = subprocess.run(command, capture_output=True, text=True, check=False)
        assert again.returncode == 2
        assert f"Slurm job {number.group(1)} drives this study already" in again.stderr
        slurm("scontrol", "update", "nodename=n[1-2]", "state=resume")
        _until(lambda: any(not job["driver"] for job in _status("there")["queue"]["jobs"]))
        assert _status("there")["running"]
        slurm("scancel", "--signal=USR1", "--batch", number.group(1))  # as when its time ends
        _until(lambda: not _status("there")["running"])
        _until(lambda: "to be driven by Slurm job" in status_lines(_status("there"))[0])

        def done() -> bool:
            """Slurm itself would wait for two minutes before it starts the driver again."""
            slurm("scontrol", "update", f"jobid={number.group(1)}", "StartTime=now")
            return not slurm("squeue", "-h")

        _until(done)
    assert (Path("there") / "runs.csv").read_text() == run(small, "here", "local")
    log = next(Path("there/slurm/driver").rglob("0.log")).read_text()
    assert "tasks stay in the queue" in log


def test_one_run_given_to_two_workers_is_trained_once(
    small: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[RunTask] = []
    monkeypatch.setattr(
        "synthlaw.study.pipeline.train_and_score",
        lambda space, runs, tasks, **options: given.extend(tasks.values()) or [],
    )
    monkeypatch.setattr("synthlaw.study.pipeline.collect", lambda *args: sys.exit(7))
    with pytest.raises(SystemExit):
        run(small, str(small.out), "local")
    task = next(task for task in given if task.train)
    working, most = 0, 0
    train = execute_module._train

    def counted(*args: object) -> object:
        nonlocal working, most
        working += 1
        most = max(most, working)
        time.sleep(0.3)
        try:
            return train(*args)  # type: ignore[arg-type]
        finally:
            working -= 1

    monkeypatch.setattr(execute_module, "_train", counted)
    made: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: made.append(execute(task, lambda flops: None)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert sorted(map(len, made)) == [0, 2]  # one trained and scored, the other found it


def test_wrong_options_for_slurm_are_told_before_anything_is_made(
    small: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.value["execution"] |= {"slurm": {"time": 14400}}
    with pytest.raises(UsageError, match=r"study\.yaml: execution\.slurm\.time: found the number"):
        run(small, str(small.out), "slurm")
    small.value["execution"] = {}
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match=r"study\.yaml: executor 'slurm': found no sbatch"):
        run(small, str(small.out), "slurm")
    assert not (small.out / "artifacts").exists()
