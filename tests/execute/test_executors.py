"""The protocol of executors: results, order, bounds, failures, workers that die."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from synthlaw.common.errors import InterruptedWorkError, SynthlawError, UsageError
from synthlaw.execute import executors
from synthlaw.execute.base import ExecutorSettings, Failure, results_of
from synthlaw.execute.executors.local import LocalExecutor
from synthlaw.execute.inline import InlineExecutor
from synthlaw.execute.registry import executor_names, here, make_executor

JOBS = "execute_jobs"


@pytest.fixture(scope="module")
def local() -> Iterator[LocalExecutor]:
    with LocalExecutor(2) as executor:
        yield executor


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("make", [InlineExecutor, lambda: LocalExecutor(2)])
def test_every_result_comes_with_its_number(make: Callable[[], Any], ordered: bool) -> None:
    heard: list[float] = []
    with make() as executor:
        found = list(
            executor.map(f"{JOBS}:square", range(20), on_progress=heard.append, ordered=ordered)
        )
    assert sorted(found) == [(n, n * n) for n in range(20)]
    assert not ordered or found == sorted(found)
    assert sum(heard) == 20


def test_ordered_results_wait_for_the_oldest_and_hold_payloads_back(local: LocalExecutor) -> None:
    taken = 0

    def payloads() -> Iterator[int]:
        nonlocal taken
        for number in range(200):
            taken += 1
            yield number

    found = local.map(f"{JOBS}:slow_first", payloads(), ordered=True)
    assert next(found) == (0, 0)
    # The first took long; the others may not have run away from it.
    assert taken <= 4 * local.workers + 1
    assert [number for number, _ in found] == list(range(1, 200))


def test_results_are_not_gathered_before_they_are_asked_for(local: LocalExecutor) -> None:
    taken = 0

    def payloads() -> Iterator[int]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield number

    with closing(local.map(f"{JOBS}:square", payloads())) as found:
        next(found)
        time.sleep(0.3)
        assert taken <= local.workers


def test_the_longest_jobs_go_first() -> None:
    with LocalExecutor(1) as executor:
        found = executor.map(f"{JOBS}:square", [1, 3, 2], seconds=lambda payload: payload)
        assert [number for number, _ in found] == [1, 2, 0]


@pytest.mark.parametrize("make", [InlineExecutor, lambda: LocalExecutor(2)])
def test_a_failure_costs_its_job_alone(make: Callable[[], Any]) -> None:
    payloads = ["failed", "a", "usage", "bug", "b"]
    with make() as executor:
        found = dict(executor.map(f"{JOBS}:trouble", payloads))
    assert found == {
        0: Failure("the disk is full", 1),
        1: "a",
        2: Failure("found 3; expected 4", 2),
        3: Failure("KeyError: 'missing'", 1),
        4: "b",
    }
    with pytest.raises(UsageError, match="expected 4"):
        list(results_of(iter([(0, found[2])])))
    with pytest.raises(SynthlawError, match="disk"):
        list(results_of(iter([(0, found[0])])))


@pytest.mark.parametrize(("how", "tries"), [("killed", 2), ("interrupted", 2)])
def test_a_job_whose_worker_goes_is_taken_up_by_another(
    tmp_path: Path, local: LocalExecutor, how: str, tries: int
) -> None:
    heard: list[float] = []
    payloads = [[how, str(tmp_path)], ["nothing", str(tmp_path.parent)]]
    found = dict(local.map(f"{JOBS}:once", payloads, on_progress=heard.append))
    (tmp_path.parent / "tries").unlink()
    assert found[0] == f"{tries} tries"
    assert sum(heard) == len(payloads)  # what the lost try reported was taken back


def test_a_job_that_kills_its_workers_fails_and_says_so(
    tmp_path: Path, local: LocalExecutor
) -> None:
    [(number, failure)] = local.map(f"{JOBS}:once", [["always killed", str(tmp_path)]])
    assert number == 0 and isinstance(failure, Failure)
    assert "worker killed by signal 9 (out of memory is the usual reason)" in failure.message
    assert failure.message.endswith("(3 attempts)")


def test_an_interruption_here_is_the_caller_s(tmp_path: Path) -> None:
    with pytest.raises(InterruptedWorkError, match="SIGTERM"):
        list(InlineExecutor().map(f"{JOBS}:once", [["interrupted", str(tmp_path)]]))


def test_workers_stay_warm_from_job_to_job_and_map_to_map() -> None:
    with LocalExecutor(1) as executor:
        seen = {tuple(r) for _ in range(2) for _, r in executor.map(f"{JOBS}:warm", range(3))}
    assert len(seen) == 1 and next(iter(seen))[0] != os.getpid()


def _wait_for(path: Path) -> int:
    until = time.monotonic() + 60
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < until, f"{path.name} did not come"
        time.sleep(0.02)
    return int(path.read_text())


def _is_gone(pid: int) -> bool:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_closing_the_iterator_ends_jobs_under_way(tmp_path: Path) -> None:
    with LocalExecutor(2) as executor:
        jobs = executor.map(f"{JOBS}:trouble", ["a"])
        assert list(jobs) == [(0, "a")]

        def payloads() -> Iterator[str]:
            yield str(tmp_path / "pid")
            _wait_for(tmp_path / "pid")
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            list(executor.map(f"{JOBS}:sleep", payloads()))
        assert _is_gone(int((tmp_path / "pid").read_text()))
        assert list(executor.map(f"{JOBS}:square", [3])) == [(0, 9)]  # and others may follow


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys; sys.path[:] = sys.argv[2:]\n"
        "from synthlaw.execute.executors.local import LocalExecutor\n"
        f"list(LocalExecutor(1).map('{JOBS}:sleep', [sys.argv[1]]))\n"
    )
    pid = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", program, str(pid), *sys.path])
    worker = _wait_for(pid)
    parent.kill()
    parent.wait()
    assert _is_gone(worker)


def test_few_jobs_are_done_here() -> None:
    assert isinstance(here(8, 1), InlineExecutor)
    assert isinstance(here(1, 8), InlineExecutor)
    with here(8, 2) as executor:
        assert isinstance(executor, LocalExecutor) and executor.workers == 2


PLUG_IN = """
from synthlaw.execute.inline import InlineExecutor


def make(settings):
    return InlineExecutor()
"""


def test_an_executor_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = executor_names()
    assert "local" in before
    (tmp_path / "loop.py").write_text(PLUG_IN)
    monkeypatch.setattr(executors, "__path__", [*executors.__path__, str(tmp_path)])
    assert executor_names() == sorted([*before, "loop"])
    with make_executor("loop", ExecutorSettings()) as executor:
        assert list(executor.map(f"{JOBS}:square", [4])) == [(0, 16)]
    with pytest.raises(UsageError, match=r"found 'loopy'; expected one of local, loop"):
        make_executor("loopy", ExecutorSettings())
