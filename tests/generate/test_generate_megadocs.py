"""Megadocs: all versions of a document in one, with all that led to it on record."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from fault_server import echo_of, fault_server
from generation_runs import arguments, killed, rows, run, start, write_input

MEGA = ("--versions", "4", "--stitch", "last")


def test_the_versions_of_a_document_and_itself_are_one_document(tmp_path: Path) -> None:
    source = write_input(tmp_path / "in.jsonl", 6)
    with fault_server() as server:
        made = run(*arguments(server, source, tmp_path / "mega", *MEGA))
        plain = run(*arguments(server, source, tmp_path / "plain", "--rollouts", "4"))
    assert (made["documents"], plain["documents"]) == (6, 24)
    originals = {row["id"]: row["text"] for row in map(json.loads, source.open())}
    for row in rows(tmp_path / "mega" / "documents"):
        parts = row["text"].split("\n\n")
        assert parts[-1] == originals[row["source_id"]]
        assert [one["rollout"] for one in row["parts"]] == [0, 1, 2, 3]
        assert len({one["seed"] for one in row["parts"]}) == 4
        assert row["source_id"] and row["step"] == "stitched" and row["original"] == "last"
        # The same texts as four rollouts have, since their seeds are the same.
        own = [r for r in rows(tmp_path / "plain" / "documents")
               if r["source_id"] == row["source_id"]]  # fmt: skip
        assert {r["seed"] for r in own} == {one["seed"] for one in row["parts"]}
        assert row["completion_tokens"] == sum(r["completion_tokens"] for r in own)
        assert sorted(parts[:-1]) == sorted(r["text"] for r in own)


@pytest.mark.parametrize("place", ["first", "without"])
def test_the_original_stands_where_it_is_asked_for(tmp_path: Path, place: str) -> None:
    source = write_input(tmp_path / "in.jsonl", 2)
    with fault_server() as server:
        asked = arguments(server, source, tmp_path / "out", "--versions", "2", "--stitch", place)
        run(*asked)
    for row in rows(tmp_path / "out" / "documents"):
        assert row["text"].startswith("Text number") == (place == "first")
        assert ("about rivers.\n\n" in row["text"]) == (place == "first")


@pytest.mark.parametrize("asked", [MEGA, ("--rollouts", "4")], ids=["megadocs", "rollouts"])
def test_a_killed_run_ends_with_the_same_bytes(tmp_path: Path, asked: tuple[str, ...]) -> None:
    source = write_input(tmp_path / "in.jsonl", 40)

    with fault_server() as server:
        run(*arguments(server, source, tmp_path / "whole", *asked))
    with fault_server(delay=0.02) as server:
        again = arguments(server, source, tmp_path / "out", *asked, "--concurrency", "4")
        for _ in range(2):
            process = start(again)
            before = len(server.received)
            while len(server.received) < before + 30 and process.poll() is None:
                time.sleep(0.02)
            killed(process, tmp_path / "out")
        run(*again)
        # At most what was on its way when the process was killed was asked for twice.
        assert len(server.received) <= 160 + 2 * 4
    for kind in ("documents", "dropped"):
        whole = [path.read_bytes() for path in sorted((tmp_path / "whole" / kind).glob("*"))]
        assert [p.read_bytes() for p in sorted((tmp_path / "out" / kind).glob("*"))] == whole


def test_a_version_that_is_dropped_is_missing_and_counted(tmp_path: Path) -> None:
    source = write_input(tmp_path / "in.jsonl", 3)

    def some_short(asked: dict[str, Any]) -> str:
        return "Too short." if asked["seed"] % 2 else echo_of(asked)

    with fault_server(answer=some_short) as server:
        made = run(*arguments(server, source, tmp_path / "out", *MEGA))
    kept = sum(len(row["parts"]) for row in rows(tmp_path / "out" / "documents"))
    assert kept + made["dropped"]["short"] == 12 and 0 < kept < 12


def test_versions_without_stitching_are_documents(tmp_path: Path) -> None:
    source = write_input(tmp_path / "in.jsonl", 3)
    with fault_server() as server:
        asked = ("--versions", "2", "--rollouts", "2")
        made = run(*arguments(server, source, tmp_path / "out", *asked))
    assert made["documents"] == 12
    numbers = [row["rollout"] for row in rows(tmp_path / "out" / "documents")]
    assert sorted(numbers) == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
