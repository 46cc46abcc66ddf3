"""The executor `slurm` on a real Slurm cluster of two nodes, disturbed in every way we know."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slurm_cluster import cancel_all, free_ports, missing, slurm, slurm_cluster

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.execute.base import ExecutorSettings, Failure, Patience
from synthlaw.execute.registry import live_jobs, make_executor

pytestmark = [pytest.mark.skipif(bool(missing()), reason=missing() or "there"), pytest.mark.slow]

JOBS = "execute_jobs"


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two nodes of one core; arrays of at most five jobs."""
    # Slurm's sockets need a short path.
    with (
        tempfile.TemporaryDirectory(prefix="slurm-") as folder,
        slurm_cluster(Path(folder), extra="MaxArraySize=5"),
    ):
        yield


@pytest.fixture(autouse=True)
def _emptied(cluster: None) -> Iterator[None]:
    """No test leaves drivers or jobs to the next."""
    yield
    while _drivers:
        _drivers.pop().kill()
    cancel_all()
    _until(lambda: not slurm("squeue", "-h"))


def executor(folder: Path, **options: Any) -> Any:
    return make_executor("slurm", ExecutorSettings(folder=folder / "slurm", options=options))


def test_more_jobs_than_an_array_may_have(tmp_path: Path, cluster: None) -> None:
    heard: list[float] = []
    jobs = executor(tmp_path).map(f"{JOBS}:square", range(12), on_progress=heard.append)
    assert sorted(jobs) == [(n, n * n) for n in range(12)]
    assert sum(heard) == 12
    assert not list((tmp_path / "slurm" / "arrays").iterdir())


def test_short_jobs_share_one_job_of_slurm_s(
    tmp_path: Path, cluster: None, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = executor(tmp_path).map(
        f"{JOBS}:square", range(100), seconds=lambda payload: 1.0, ordered=True
    )
    assert list(jobs) == [(n, n * n) for n in range(100)]
    assert "100 tasks in 2 jobs" in capsys.readouterr().err


def test_failures_are_told_and_cost_their_job_alone(tmp_path: Path, cluster: None) -> None:
    found = dict(executor(tmp_path).map(f"{JOBS}:trouble", ["usage", "a", "bug"]))
    assert found == {
        0: Failure("found 3; expected 4", 2),
        1: "a",
        2: Failure("KeyError: 'missing'", 1),
    }


@pytest.mark.parametrize("how", ["killed", "interrupted"])
def test_a_job_whose_worker_goes_is_submitted_again(
    tmp_path: Path, cluster: None, how: str
) -> None:
    """Work that came after it in the same job is not lost either."""
    (tmp_path / "b").mkdir()
    payloads = [[how, str(tmp_path)], ["nothing", str(tmp_path / "b")]]
    jobs = executor(tmp_path).map(f"{JOBS}:once", payloads, seconds=lambda payload: 1.0)
    assert dict(jobs) == {0: "2 tries", 1: "1 tries"}


def test_a_worker_s_end_is_told_with_its_state_and_last_line(tmp_path: Path, cluster: None) -> None:
    once = ExecutorSettings(folder=tmp_path / "slurm", patience=Patience(attempts=1))
    ((_, failure),) = make_executor("slurm", once).map(f"{JOBS}:last_words", [0])
    assert isinstance(failure, Failure)
    assert re.match(
        r"Slurm job \d+_0 ended FAILED; last output: no space left on device", failure.message
    )


def test_a_node_that_is_lost_costs_no_job(tmp_path: Path, cluster: None) -> None:
    """Slurm requeues what ran there; another node takes it up."""
    driver = _driver(tmp_path, [[str(tmp_path), 0]])
    _until(lambda: list(tmp_path.glob("began-0")))
    [number] = _running()
    [node] = slurm("squeue", "-h", "-t", "R", "-o", "%N").split()
    slurm("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    try:
        _until(lambda: not _running())
        (tmp_path / "go").touch()

        def taken_up() -> bool:
            slurm("scontrol", "update", f"jobid={number}", "StartTime=now")
            return driver.poll() is not None

        _until(taken_up)
    finally:
        slurm("scontrol", "update", f"nodename={node}", "state=resume")
    said, told = driver.communicate()
    assert said == "[(0, 0)]\n", told
    assert (tmp_path / "began-0").read_text() == "xx"


def _running(element: str = "") -> list[str]:
    """Numbers of running jobs, as '12_0'."""
    return slurm("squeue", "-h", "-r", "-t", "R", "-o", "%F_%K").split()


def _until(condition: Any, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, slurm("squeue", "-a")
        time.sleep(0.1)


_drivers: list[subprocess.Popen[str]] = []


def _driver(folder: Path, payloads: list[Any]) -> subprocess.Popen[str]:
    """A driver of its own that prints what comes."""
    program = (
        "import json, signal, sys; sys.path[:] = json.loads(sys.argv[3])\n"
        # The shell that runs the tests may have turned Ctrl-C off.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from synthlaw.cli.main import _interrupt\n"
        "for number in (signal.SIGTERM, signal.SIGHUP): signal.signal(number, _interrupt)\n"
        "from pathlib import Path\n"
        "from synthlaw.execute.base import ExecutorSettings\n"
        "from synthlaw.execute.registry import make_executor\n"
        "settings = ExecutorSettings(folder=Path(sys.argv[1]) / 'slurm')\n"
        "payloads = json.loads(sys.argv[2])\n"
        f"print(sorted(make_executor('slurm', settings).map('{JOBS}:wait', payloads)))\n"
    )
    command = [sys.executable, "-c", program, str(folder), json.dumps(payloads)]
    command.append(json.dumps(sys.path))
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _drivers.append(driver)
    return driver


def test_a_driver_that_is_killed_and_started_again_submits_nothing_twice(
    tmp_path: Path, cluster: None
) -> None:
    payloads = [[str(tmp_path), n] for n in range(4)]
    first = _driver(tmp_path, payloads)
    _until(lambda: len(list(tmp_path.glob("began-*"))) == 2)
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = _driver(tmp_path, payloads)
    time.sleep(2)
    (tmp_path / "go").touch()
    said, told = second.communicate(timeout=120)
    assert said == f"{list(enumerate(range(4)))}\n", told
    assert "4 jobs of an earlier start are in the queue" in told
    assert [len(path.read_text()) for path in sorted(tmp_path.glob("began-*"))] == [1] * 4


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_lost_terminal_leaves_the_jobs_and_the_next_start_finds_them(
    tmp_path: Path, cluster: None, number: signal.Signals
) -> None:
    payloads = [[str(tmp_path), n] for n in range(3)]
    first = _driver(tmp_path, payloads)
    _until(lambda: len(list(tmp_path.glob("began-*"))) == 2)
    first.send_signal(number)
    told = first.communicate(timeout=60)[1]
    assert "3 tasks stay in the queue; run again to wait for them" in told
    assert "cancelled" not in told and len(slurm("squeue", "-h", "--array").splitlines()) == 3
    before = sorted(path for path in tmp_path.rglob("*") if "logs" not in path.parts)
    live = live_jobs(tmp_path)
    assert live["unknown"] == ""
    assert sorted(job["state"] for job in live["jobs"]) == ["PENDING", "RUNNING", "RUNNING"]
    assert all(bool(job["hosts"]) == (job["state"] == "RUNNING") for job in live["jobs"])
    assert sum(Path(job["log"]).exists() for job in live["jobs"]) == 2
    assert sorted(path for path in tmp_path.rglob("*") if "logs" not in path.parts) == before
    second = _driver(tmp_path, payloads)
    time.sleep(2)
    (tmp_path / "go").touch()
    said, told = second.communicate(timeout=120)
    assert said == "[(0, 0), (1, 1), (2, 2)]\n", told
    assert [len(path.read_text()) for path in sorted(tmp_path.glob("began-*"))] == [1] * 3


def test_an_error_of_the_driver_leaves_the_jobs_and_ctrl_c_between_results_cancels_them(
    tmp_path: Path, cluster: None
) -> None:
    fast, slow = tmp_path / "fast", tmp_path / "slow"
    fast.mkdir()
    slow.mkdir()
    (fast / "go").touch()

    def work(error: BaseException) -> None:
        with executor(tmp_path) as there:
            for _ in there.map(f"{JOBS}:wait", [[str(fast), 0], [str(slow), 0]]):
                raise error

    with pytest.raises(ValueError, match="of the driver"):
        work(ValueError("of the driver"))
    assert len(slurm("squeue", "-h", "--array").splitlines()) == 1
    with pytest.raises(KeyboardInterrupt):
        work(KeyboardInterrupt())
    _until(lambda: not slurm("squeue", "-h"))


def test_a_job_that_is_requeued_is_waited_for(tmp_path: Path, cluster: None) -> None:
    driver = _driver(tmp_path, [[str(tmp_path), 0]])
    _until(lambda: list(tmp_path.glob("began-0")))
    [number] = _running()
    slurm("scontrol", "requeue", number)
    _until(lambda: not _running())
    time.sleep(3)
    assert driver.poll() is None  # it waits, though nothing runs
    (tmp_path / "go").touch()
    slurm("scontrol", "update", f"jobid={number}", "StartTime=now")
    said, told = driver.communicate(timeout=240)
    assert said == "[(0, 0)]\n", told


def test_jobs_that_somebody_cancels_failed_and_say_so(tmp_path: Path, cluster: None) -> None:
    """Two run and two wait; without accounting."""
    driver = _driver(tmp_path, [[str(tmp_path), n] for n in range(4)])
    _until(lambda: len(list(tmp_path.glob("began-*"))) == 2)
    cancel_all()
    said, told = driver.communicate(timeout=60)
    assert said.count("was cancelled") == 4, told


def test_ctrl_c_cancels_and_says_so(tmp_path: Path, cluster: None) -> None:
    driver = _driver(tmp_path, [[str(tmp_path), 0]])
    _until(lambda: list(tmp_path.glob("began-0")))
    driver.send_signal(signal.SIGINT)
    told = driver.communicate(timeout=60)[1]
    assert "cancelled 1 tasks; what they saved is kept" in told
    assert "To leave tasks in the queue, end the driver by `kill`" in told
    _until(lambda: not slurm("squeue", "-h"))


def test_the_end_of_the_time_is_no_failure(tmp_path: Path, cluster: None) -> None:
    """The first start would take two minutes and is given one; what it saved is gone on from."""
    jobs = executor(tmp_path, time="1").map(f"{JOBS}:long_at_first", [str(tmp_path)])
    assert list(jobs) == [(0, "went on after SIGTERM")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"partition": "nowhere"}, "invalid partition specified: nowhere"),
        ({"partion": "main"}, "unrecognized option"),
        ({"mem": "900G"}, "[Mm]emory specification can not be satisfied|not available"),
    ],
)
def test_wrong_options_are_told_in_slurm_s_words_before_work(
    tmp_path: Path, cluster: None, options: dict[str, str], said: str
) -> None:
    executor(tmp_path, partition="main", time="1:00:00").check()
    with pytest.raises(UsageError, match=f"execution.slurm: .*{said}"):
        executor(tmp_path, **options).check()


def test_a_cluster_whose_nodes_are_all_away_takes_jobs(
    tmp_path: Path, cluster: None, capsys: pytest.CaptureFixture[str]
) -> None:
    slurm("scontrol", "update", "nodename=n[1-2]", "state=drain", "reason=test")
    try:
        executor(tmp_path, partition="main").check()
        assert "no node is up at present" in capsys.readouterr().err
        with pytest.raises(UsageError, match="invalid partition"):
            executor(tmp_path, partition="nowhere").check()
    finally:
        slurm("scontrol", "update", "nodename=n[1-2]", "state=resume")


def test_a_controller_that_is_not_there_is_one_line(
    tmp_path: Path, cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = Path(os.environ["SLURM_CONF"]).read_text()
    [port] = free_ports(1)
    other = re.sub(r"SlurmctldPort=\d+", f"SlurmctldPort={port}", text)
    (tmp_path / "slurm.conf").write_text(other)
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    with pytest.raises(UsageError, match=r"^execution.slurm: [^\n]*$"):
        executor(tmp_path).check()
    with pytest.raises(SynthlawError, match=r"^[^\n]*$"):
        list(executor(tmp_path).map(f"{JOBS}:square", [1]))
