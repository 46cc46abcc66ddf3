"""Datasets of parts: bounded groups, resumable stages, rows by number and in a seeded order."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthlaw.common import parts
from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.parts import Dataset, Part, finish, group, map_parts
from synthlaw.execute.registry import here

COPY = "part_jobs:copy"


def tasks(count: int = 6, fault: dict[int, str] | None = None) -> list[dict[str, Any]]:
    return [
        {"name": f"part-{n}.txt", "text": f"text {n} " * n, "fault": (fault or {}).get(n)}
        for n in range(count)
    ]


def stage(out: Path, work: list[dict[str, Any]], workers: int = 1) -> Dataset:
    sizes = [1.0] * len(work)
    with here(workers, len(work)) as executor:
        results = map_parts(COPY, work, out, executor, label="copying", sizes=sizes)
    return finish(out, [Part(**part) for result in results for part in result["parts"]])


def calls(out: Path) -> list[str]:
    return sorted((out / "calls").read_text().split())


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stage_makes_a_dataset_whatever_the_workers(tmp_path: Path, workers: int) -> None:
    made = stage(tmp_path, tasks(), workers)
    assert [part.name for part in made.parts] == [task["name"] for task in tasks()]
    assert [path.read_text() for path in made.paths] == [task["text"] for task in tasks()]
    assert made.identity == stage(tmp_path.parent / "alone", tasks()).identity
    assert made.problems(verify=True) == []
    assert not (tmp_path / parts.NOTES).exists()


@pytest.mark.parametrize(
    ("fault", "error"),
    [("bad", "part-3.txt: found nothing good"), ("killed", "killed by signal 9")],
)
def test_what_is_done_when_a_job_fails_is_not_done_again(
    tmp_path: Path, fault: str, error: str
) -> None:
    (tmp_path / "calls").touch()
    with pytest.raises(SynthlawError, match=error) as caught:
        stage(tmp_path, tasks(fault={3: fault}), workers=2)
    assert caught.value.exit_status == (2 if fault == "bad" else 1)
    done = {path.name for path in (tmp_path / parts.NOTES).iterdir()}
    (tmp_path / "mended").touch()
    (tmp_path / "calls").write_text("")
    stage(tmp_path, tasks(fault={3: fault}), workers=2)
    assert len(calls(tmp_path)) == 6 - len(done)
    assert done
    assert "part-3.txt" in calls(tmp_path)


def test_jobs_of_other_tasks_and_damaged_parts_are_done_again(tmp_path: Path) -> None:
    with here(1, 6) as executor:
        map_parts(COPY, tasks(), tmp_path, executor, label="copying", sizes=[1] * 6)
        (tmp_path / "calls").write_text("")
        (tmp_path / "part-1.txt").unlink()
        (tmp_path / "part-2.txt").write_text("torn")
        changed = tasks()
        changed[4]["text"] = "another"
        map_parts(COPY, changed, tmp_path, executor, label="copying", sizes=[1] * 6)
    assert calls(tmp_path) == ["part-1.txt", "part-2.txt", "part-4.txt"]
    assert (tmp_path / "part-4.txt").read_text() == "another"


def test_a_folder_without_a_manifest_or_of_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a finished dataset"):
        Dataset(tmp_path)
    (tmp_path / parts.MANIFEST).write_text('{"format": 99, "parts": []}')
    with pytest.raises(UsageError, match="found format 99; expected 1"):
        Dataset(tmp_path)


def test_missing_torn_and_changed_parts_are_named(tmp_path: Path) -> None:
    made = stage(tmp_path, tasks())
    (tmp_path / "part-1.txt").unlink()
    (tmp_path / "part-2.txt").write_text("short")
    (tmp_path / "part-3.txt").write_text(tasks()[3]["text"].upper())
    missing, torn = made.problems()
    assert "part-1.txt: the part's file is missing" in missing
    assert "part-2.txt: found 5 bytes" in torn
    assert "part-3.txt: SHA-256 is" in made.problems(verify=True)[2]


@given(st.lists(st.integers(0, 30), max_size=40), st.integers(1, 40))
def test_groups_are_consecutive_and_bounded(sizes: list[int], most: int) -> None:
    found = group(sizes, most)
    assert [n for one in found for n in one] == list(range(len(sizes)))
    for one in found:
        assert len(one) == 1 or sum(sizes[n] for n in one) <= most
    for one, following in pairwise(found):  # none could have held more
        assert sum(sizes[n] for n in one) + sizes[following[0]] > most


@given(st.lists(st.integers(0, 9), min_size=1, max_size=9), st.integers(0, 99))
def test_the_order_is_a_permutation_of_all_rows(sizes: list[int], seed: int) -> None:
    made = Dataset.__new__(Dataset)
    made.parts = tuple(Part(str(n), size, 0, 0, "") for n, size in enumerate(sizes))
    rows = [(part, row) for part, size in enumerate(sizes) for row in range(size)]
    found = made.order(seed)(np.arange(made.documents))
    assert sorted(zip(*map(np.ndarray.tolist, made.locate(found)), strict=True)) == rows
