"""What all executors have in common: order, bounds, attempts, and reports that are taken back."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from synthlaw.execute.base import Failure, Patience
from synthlaw.execute.feed import Feed, Job

ATTEMPTS, INTERRUPTIONS = Patience().attempts, Patience().interruptions


def feed(payloads: Any, heard: list[float] | None = None, window: int | None = None) -> Feed:
    on_progress = None if heard is None else heard.append
    return Feed(payloads, on_progress=on_progress, seconds=None, window=window)


DONE = {"event": "done", "result": "x"}


@given(st.data(), st.integers(0, 12), st.none() | st.integers(1, 5))
def test_whatever_happens_to_workers_every_payload_is_settled_once(
    data: st.DataObject, count: int, window: int | None
) -> None:
    """Workers take jobs, report, die, are interrupted, end, in any order."""
    heard: list[float] = []
    jobs = feed(range(count), heard, window)
    under_way: list[Job] = []
    found: list[tuple[int, Any]] = []
    while True:
        if data.draw(st.booleans()) or not under_way:
            job = jobs.take()
            if job is not None:
                under_way.append(job)
                assert window is None or job.number < len(found) + window
            elif not under_way:
                break
            continue
        job = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
        jobs.progress(job, 1.0)
        ending = data.draw(st.sampled_from(["done", "failed", "interrupted", "died", "put back"]))
        if ending == "died":
            jobs.died(job, "killed")
        elif ending == "put back":
            jobs.put_back(job)
        else:
            outcome = {"event": ending, "result": job.number, "message": "why", "status": 1}
            jobs.outcome(job, outcome)
        found += jobs.drain()
        assert jobs.out == len(under_way)
    assert sorted(number for number, _ in found) == list(range(count))
    assert window is None or [number for number, _ in found] == list(range(count))
    assert sum(heard) == count  # each told once, however often it was begun


def test_a_job_fails_when_its_workers_died_too_often() -> None:
    jobs = feed(["a"])
    for _ in range(ATTEMPTS):
        job = jobs.take()
        assert job is not None
        jobs.died(job, "killed")
    assert jobs.take() is None
    assert list(jobs.drain()) == [(0, Failure(f"killed ({ATTEMPTS} attempts)"))]


def test_interruptions_are_no_deaths_but_end_at_last() -> None:
    jobs = feed(["a"])
    for _ in range(INTERRUPTIONS):
        job = jobs.take()
        assert job is not None
        jobs.interrupted(job, "time is up")
    assert jobs.take() is None
    assert list(jobs.drain()) == [(0, Failure(f"time is up ({INTERRUPTIONS} times)"))]


def test_a_job_that_goes_back_is_given_out_before_new_ones() -> None:
    jobs = feed(["a", "b"])
    first = jobs.take()
    assert first is not None
    jobs.put_back(first)
    assert jobs.take() is first
    jobs.outcome(first, DONE)
    assert [job.payload for job in iter(jobs.take, None)] == ["b"]
    assert list(jobs.drain()) == [(0, "x")]
