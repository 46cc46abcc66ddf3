"""The executor `ray` on a cluster of two nodes that was started in another folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray_cluster import ray_cluster

from synthlaw.common.errors import MissingExtraError, UsageError
from synthlaw.execute.base import ExecutorSettings, Failure
from synthlaw.execute.registry import make_executor

JOBS = "execute_jobs"


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"synthlaw\[ray\]"):
        make_executor("ray", ExecutorSettings())


def test_an_address_where_no_cluster_is_fails_soon_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        executor = make_executor("ray", ExecutorSettings())
        with pytest.raises(UsageError, match=f"found no cluster at RAY_ADDRESS={address}"):
            executor.check()
        with pytest.raises(UsageError, match="HOST:PORT"):
            next(executor.map(f"{JOBS}:square", [1]))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder by which the cluster is told what to do."""
    pytest.importorskip("ray", reason="Ray is not installed")
    folder = tmp_path_factory.mktemp("ray")
    with ray_cluster(folder):
        yield folder


@pytest.fixture(scope="module")
def executor(cluster: Path) -> Iterator[Any]:
    with make_executor("ray", ExecutorSettings()) as made:
        yield made


pytestmark = pytest.mark.slow


@pytest.mark.parametrize("ordered", [True, False])
def test_every_result_comes_with_its_number(executor: Any, ordered: bool) -> None:
    heard: list[float] = []
    jobs = executor.map(f"{JOBS}:square", range(8), on_progress=heard.append, ordered=ordered)
    found = list(jobs)
    assert sorted(found) == [(n, n * n) for n in range(8)]
    assert not ordered or found == sorted(found)
    assert sum(heard) == 8


def test_a_failure_costs_its_job_alone(executor: Any) -> None:
    assert dict(executor.map(f"{JOBS}:trouble", ["usage", "a", "bug"])) == {
        0: Failure("found 3; expected 4", 2),
        1: "a",
        2: Failure("KeyError: 'missing'", 1),
    }


@pytest.mark.parametrize("how", ["killed", "interrupted", "terminated"])
def test_a_job_whose_worker_goes_is_tried_again(executor: Any, tmp_path: Path, how: str) -> None:
    assert dict(executor.map(f"{JOBS}:once", [[how, str(tmp_path)]])) == {0: "2 tries"}


DRIVER = """
import signal, sys
def stop(number, frame):
    raise KeyboardInterrupt
signal.signal(signal.SIGTERM, stop)
from synthlaw.execute.base import ExecutorSettings
from synthlaw.execute.registry import make_executor
try:
    with make_executor("ray", ExecutorSettings()) as executor:
        jobs = executor.map("execute_jobs:wait", [[sys.argv[1], number] for number in range(2)])
        print(sorted(jobs))
except KeyboardInterrupt:
    print("stopped as it was told")
"""


def driver(folder: Path) -> subprocess.Popen[str]:
    """A process whose two jobs have begun, one on each node."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    # What a process before this one has set must not be what quietens Ray here.
    for name in ("RAY_DEDUP_LOGS_SKIP_REGEX", "RAY_DISABLE_FAILURE_SIGNAL_HANDLER"):
        environment.pop(name, None)
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    until = time.monotonic() + 120
    while len(list(folder.glob("began-*"))) < 2:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.1)
    return process


def test_a_driver_that_is_told_to_stop_prints_nothing_of_ray_s(
    cluster: Path, tmp_path: Path
) -> None:
    process = driver(tmp_path)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[0] == "stopped as it was told\n"


def test_a_node_that_is_lost_costs_no_job_and_prints_nothing(cluster: Path, tmp_path: Path) -> None:
    """Both nodes are at work; the last test, since one is gone then."""
    process = driver(tmp_path)
    (cluster / "remove").touch()
    time.sleep(8)  # until its log has been passed on
    (tmp_path / "go").touch()
    assert process.communicate(timeout=120)[0] == "[(0, 0), (1, 1)]\n"
