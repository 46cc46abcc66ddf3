"""Options for sbatch: what is passed on, and what would be misread."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from synthlaw.common.errors import UsageError
from synthlaw.execute.base import ExecutorSettings, as_json
from synthlaw.execute.feed import Job
from synthlaw.execute.registry import make_executor
from synthlaw.execute.slurm.arrays import JobArray
from synthlaw.execute.slurm.client import _state_in
from synthlaw.execute.slurm.options import request_of, sbatch_flags, setup_lines
from synthlaw.execute.slurm.work import Work
from synthlaw.execute.slurm.worker import main
from synthlaw.study.spec.ladder import Execution


def test_options_become_flags() -> None:
    options = {"partition": "a", "mail-type": "END", "exclusive": True, "hold": False}
    assert sbatch_flags({**options, "time": "59", "setup": ["module load x"]}, 2, 4) == [
        "--nodes=1",
        "--ntasks=1",
        "--cpus-per-task=8",
        "--requeue",
        "--gpus-per-node=4",
        "--signal=B:TERM@120",
        "--partition=a",
        "--mail-type=END",
        "--exclusive",
        "--time=59",
    ]


def test_no_time_is_asked_for_that_the_study_does_not_name() -> None:
    assert not any(flag.startswith("--time") for flag in sbatch_flags({}, 1, None))


def test_gpus_are_asked_for_once() -> None:
    flags = sbatch_flags({"gres": "gpu:a100:8"}, 1, 8)
    assert [flag for flag in flags if "gpu" in flag] == ["--gres=gpu:a100:8"]


@pytest.mark.parametrize(
    ("time", "warned"),
    [
        *(("9", False), ("0:09:59", False), ("10", True), ("1-0", True), ("0-00:05:00", False)),
        *(("10:00", True), ("UNLIMITED", True), ("5:30", False), ("0-0:11", True)),
    ],
)
def test_jobs_that_are_long_enough_are_warned(time: str, warned: bool) -> None:
    assert ("--signal=B:TERM@120" in sbatch_flags({"time": time}, 1, None)) is warned


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"time": 14400}, "time: found the number 14400; expected a time in quotes"),
        ({"time": "4 hours"}, "time: found '4 hours'; expected minutes"),
        ({"time": "1:2:3:4"}, "time: found '1:2:3:4'"),
        ({"array": "0-4"}, "array: is given by the executor itself"),
        ({"job-name": "mine"}, "job_name: is given by the executor itself"),
        ({"partition": ["a", "b"]}, "partition: found a list"),
        ({"array_parallelism": 0}, "array_parallelism: found 0; expected a number of jobs"),
        ({"array_parallelism": True}, "array_parallelism: found True"),
        ({"array_parallelism": "two"}, "array_parallelism: found 'two'"),
    ],
)
def test_what_sbatch_would_misread_names_its_key(
    tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=f"execution.slurm.{said}"):
        make_executor("slurm", ExecutorSettings(folder=tmp_path, options=options))


def test_setup_is_a_line_or_lines() -> None:
    assert setup_lines({}) == []
    assert setup_lines({"setup": "module load cuda"}) == ["module load cuda"]
    assert setup_lines({"setup": ["a", "b"]}) == ["a", "b"]


def test_a_machine_without_slurm_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    executor = make_executor("slurm", ExecutorSettings(folder=tmp_path))
    with pytest.raises(UsageError, match="executor 'slurm': found no sbatch on PATH"):
        executor.check()


def test_the_state_of_an_element_among_its_array_s_records() -> None:
    """As Slurm 22.05 writes them: two ran, the others were cancelled before."""
    records = (
        "JobId=28 ArrayJobId=27 ArrayTaskId=0 JobName=x JobState=TIMEOUT Reason=TimeLimit\n"
        "JobId=29 ArrayJobId=27 ArrayTaskId=1 JobName=x JobState=RUNNING Reason=None\n"
        "JobId=27 ArrayJobId=27 ArrayTaskId=4294967294 JobName=x JobState=CANCELLED Reason=None\n"
    )
    found = [_state_in(records, n, False) for n in range(3)]
    assert found == ["TIMEOUT", "RUNNING", "CANCELLED"]
    assert _state_in(records, 2, True) == ""  # it ran and is forgotten: that was not its end
    assert _state_in("", 0, False) == ""


def test_jobs_are_put_together_up_to_a_minute() -> None:
    jobs = [Job(n, took) for n, took in enumerate([100, 50, 20, 20, 19, 1, 1])]
    batches = Work("module:name", float, None).batches(jobs)
    assert [[job.payload for job in batch] for batch in batches] == [
        [100],
        [50],
        [20, 20, 19, 1],
        [1],
    ]
    assert [len(batch) for batch in Work("module:name", None, None).batches(jobs)] == [1] * 7


def test_an_element_goes_on_where_it_was(tmp_path: Path) -> None:
    """What is done stays; what was interrupted, or never begun, is done."""
    lines = [
        as_json("execute_jobs:once", [how, str(tmp_path)]) for how in ("interrupted", "x", "y")
    ]
    array = JobArray.create(tmp_path / "arrays", [[], lines])
    before = list(sys.path)
    assert main(array.folder, 1) == 143
    assert (array.outcome(1, 0) or {})["event"] == "interrupted"
    assert array.outcome(1, 1) is None
    assert main(array.folder, 1) == 0
    assert main(array.folder, 1) == 0  # a third start finds nothing to do
    found = [(array.outcome(1, place) or {})["result"] for place in range(3)]
    assert found == ["2 tries", "3 tries", "4 tries"]
    assert sys.path == before


@pytest.mark.parametrize(
    ("name", "value", "gpus"),
    [
        ("gres", "gpu:2", 4),
        ("gres", "gpu", 2),
        ("gres", "shard:4,gpu:h100:2", 4),
        ("gpus_per_node", 1, 8),
        ("gres", "gpu:a100:2,gpu:h100:2", 2),
        ("gpus", "a100:8", 4),
        ("tres_per_task", "cpu=8,gres/gpu=2", 1),
    ],
)
def test_gpus_asked_for_twice_must_be_the_same(name: str, value: object, gpus: int) -> None:
    with pytest.raises(UsageError, match=rf"execution\.slurm\.{name}.*gpus_per_run {gpus}"):
        sbatch_flags({name: value}, 1, gpus)


@pytest.mark.parametrize(
    ("name", "value"),
    [("gres", "gpu:h100:4"), ("gpus-per-node", "4"), ("gres", "shard:2"), ("gpus", "h100:4")],
)
def test_gpus_of_a_type_may_be_named_beside_their_number(name: str, value: str) -> None:
    flags = sbatch_flags({name: value}, 1, 4)
    assert f"--{name}={value}" in flags
    # Jobs that prepare data have no GPU, whatever the runs ask for.
    assert f"--{name}={value}" not in sbatch_flags({name: value}, 1, 0)


def test_a_run_of_several_machines_has_one_task_on_each() -> None:
    flags = sbatch_flags({}, 2, 8, 4)
    assert {"--nodes=4", "--ntasks=4", "--ntasks-per-node=1", "--gpus-per-node=8"} <= set(flags)
    with pytest.raises(UsageError, match=r"execution\.slurm\.nodes: found 2 for jobs of 1"):
        sbatch_flags({"nodes": 2}, 1, None)


def test_kinds_of_jobs_ask_for_what_they_need(tmp_path: Path) -> None:
    execution = Execution.model_validate(
        {
            "gpus_per_run": 1,
            "slurm": {"partition": "gpu", "time": "4:00:00", "gres": "gpu:h100:1"},
            "resources": {
                "3B": {"gpus_per_run": 8, "nodes": 2, "slurm": {"time": "1-0", "gres": None}},
                "data": {"slurm": {"partition": "cpu"}},
            },
        }
    )
    runs = execution.of_runs("slurm", tmp_path)
    usual, large = (request_of(runs.of_kind(kind)).flags for kind in ("1B", "3B"))
    assert {"--gres=gpu:h100:1", "--time=4:00:00", "--nodes=1"} <= set(usual)
    assert {"--gpus-per-node=8", "--time=1-0", "--nodes=2", "--partition=gpu"} <= set(large)
    assert not any(flag.startswith("--gres") for flag in large)
    data = execution.of_data("slurm", tmp_path)
    for kind, partition in (("", "cpu"), ("driver", "gpu")):
        flags = request_of(data.of_kind(kind)).flags
        assert f"--partition={partition}" in flags
        assert not any("gpu:" in flag or "gpus" in flag for flag in flags)
    assert execution.processes_of("3B") == 16
    assert execution.of_runs("local", tmp_path).options == {}
