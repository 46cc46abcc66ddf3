"""The executor `ray` on a cluster of two nodes that was started in another folder."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray_cluster import ray_cluster

from synthlaw.common.errors import MissingExtraError
from synthlaw.execute.base import ExecutorSettings, Failure
from synthlaw.execute.registry import make_executor

JOBS = "execute_jobs"


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"synthlaw\[ray\]"):
        make_executor("ray", ExecutorSettings())


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


def test_a_node_that_is_lost_costs_no_job(cluster: Path, executor: Any, tmp_path: Path) -> None:
    """Both nodes are at work; the last test, since one is gone then."""
    jobs = executor.map(f"{JOBS}:wait", [[str(tmp_path), n] for n in range(2)])
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.extend(jobs))
    thread.start()
    until = time.monotonic() + 60
    while len(list(tmp_path.glob("began-*"))) < 2:
        assert time.monotonic() < until
        time.sleep(0.1)
    (cluster / "remove").touch()
    time.sleep(3)
    (tmp_path / "go").touch()
    thread.join(timeout=120)
    assert sorted(found) == [(0, 0), (1, 1)]
