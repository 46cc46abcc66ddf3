"""Workers that are killed, share a folder, or are watched from outside."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fault_server import FaultServer, fault_server
from generation_runs import (
    arguments,
    asked_again,
    contents,
    killed,
    rows,
    run,
    start,
    write_input,
)

from synthlaw.cli.generate import generate
from synthlaw.cli.study import status
from synthlaw.common.claims import Claims


@pytest.mark.slow
def test_kills_at_random_instants_lose_and_repeat_nothing(tmp_path: Path) -> None:
    source, draw = write_input(tmp_path / "in.jsonl", 600), random.Random(11)
    with fault_server() as calm:
        run(*arguments(calm, source, tmp_path / "calm"))
    most_in_flight, kills = 0, []
    with fault_server(delay=0.1) as server:
        for turn in range(8):
            concurrency, before = draw.choice([2, 5, 11]), len(server.answered)
            most_in_flight += concurrency
            sizes = ["--concurrency", str(concurrency), "--shard-size", str(draw.choice([7, 50]))]
            process = start(arguments(server, source, tmp_path / "out", *sizes))
            if turn % 4:  # else while it starts
                wait_until(lambda seen=before: len(server.answered) > seen)
            time.sleep(draw.uniform(0.0, 0.5))
            kills.append(killed(process, tmp_path / "out"))
        assert 0 < len(server.answered) < 600
        server.delay = 0.0
        last = start(arguments(server, source, tmp_path / "out", "--concurrency", "16"))
        assert last.wait(100) == 0, last.stderr.read() if last.stderr else ""
        again = asked_again(server.exchanges, kills)
    assert contents(tmp_path / "out") == contents(tmp_path / "calm")
    names = {path.name for path in (tmp_path / "out" / "documents").iterdir()}
    assert all(name.startswith("part-") for name in names)
    # An answer that reached the client is journalled before the next is asked for; only what was
    # in flight at the instant of a kill may be asked again.
    assert any(kill.texts for kill in kills)
    assert again["finished"] == 0
    assert 0 < again["in_flight"] + again["written"] <= most_in_flight


@pytest.mark.slow
def test_four_workers_share_a_folder_and_two_are_killed(tmp_path: Path) -> None:
    source = write_input(tmp_path / "in.jsonl", 400)
    with fault_server(delay=0.05) as server:
        sizes = ["--concurrency", "4", "--shard-size", "10"]
        args = arguments(server, source, tmp_path / "out", *sizes)
        workers = [start(args) for _ in range(4)]
        time.sleep(2.5)
        for worker in workers[:2]:
            worker.kill()
            worker.wait()
        for worker in workers[2:]:
            assert worker.wait(100) == 0, worker.stderr.read() if worker.stderr else ""
        repeated = sum(server.answered.values()) - len(server.answered)
    ids = [row["source_id"] for row in rows(tmp_path / "out" / "documents")]
    assert Counter(ids) == Counter(f"doc-{n}" for n in range(400))
    assert repeated <= 2 * 4
    state = CliRunner().invoke(generate, ["--status", "--out", str(tmp_path / "out"), "--json"])
    assert json.loads(state.stdout)["blocks_done"] == 40


def test_claims_of_the_living_are_respected_and_of_the_dead_taken(tmp_path: Path) -> None:

    first, second = Claims(tmp_path), Claims(tmp_path)
    assert first.take(3)
    assert first.take(3)
    assert not second.take(3)
    assert second.take(4)
    first.release(3)
    assert second.take(3)
    second.leave()
    assert first.take(3)
    assert first.holds(3)
    assert not second.holds(3)
    slow = Claims(tmp_path)
    assert slow.take(9)
    heartbeat = tmp_path / "workers" / f"{slow.worker}.json"
    state = json.loads(heartbeat.read_text())
    heartbeat.write_text(json.dumps(state | {"host": "elsewhere"}))
    assert not first.take(9)
    os.utime(heartbeat, (time.time() - 1000, time.time() - 1000))
    assert first.take(9)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


def test_status_tells_workers_that_live_from_those_that_died(
    server: FaultServer, tmp_path: Path
) -> None:
    source, out = write_input(tmp_path / "in.jsonl", 400), tmp_path / "out"
    with fault_server(delay=0.6) as slow:
        process = start(arguments(slow, source, out, "--concurrency", "4", "--shard-size", "10"))
        try:
            wait_until(lambda: len(slow.answered) > 8)
            wait_until(lambda: busy_worker(out) is not None)  # a heartbeat later
            worker, state = busy_worker(out), status_of(out)
        finally:
            process.kill()
            process.wait()
    assert worker is not None
    assert worker["pid"] == process.pid
    assert 0 < sum(worker["in_flight"].values()) <= 4
    assert worker["waiting"] >= 0
    assert 0 < state["units_done"] < 400
    assert state["seconds_left"] > 0
    state = status_of(out)
    assert state["workers"] == []
    assert state["seconds"] > 0
    assert state["seconds_left"] is None


def busy_worker(out: Path) -> dict[str, Any] | None:
    """A worker that says it has requests in flight and answers."""
    workers = status_of(out)["workers"]
    busy = (w for w in workers if w.get("requests") and sum(w["in_flight"].values()))
    return next(busy, None)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def status_of(out: Path) -> dict[str, Any]:
    """As the command `status` tells it."""
    result = CliRunner().invoke(status, [str(out), "--json"], catch_exceptions=False)
    return dict(json.loads(result.stdout))
