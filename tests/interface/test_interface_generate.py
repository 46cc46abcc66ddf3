"""`sl.generate`: documents in, documents out, as the command makes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner
from fault_server import FaultServer, fault_server

import synthlaw as sl
from synthlaw.cli.main import cli
from synthlaw.common.parts import Dataset
from synthlaw.corpus.documents import read_dataset

TEXTS = [
    f"The {animal} of the {place} sleeps by day, and at night it looks for what it eats. People "
    f"who live near the {place} hear the {animal} but seldom see it, since it is shy and quick."
    for animal in ("badger", "heron", "marten")
    for place in ("marsh", "orchard", "quarry")
]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as found:
        yield found


def made(server: FaultServer, documents: Any, **options: Any) -> sl.Generated:
    engine = sl.engines.OpenAI(server.url, "test-model", concurrency=4)
    return sl.generate(documents, recipe="hq", engine=engine, **options)


def test_texts_tables_and_files_give_what_the_command_gives(
    server: FaultServer, tmp_path: Path
) -> None:
    path = tmp_path / "in.jsonl"
    rows = [{"id": str(n), "text": text} for n, text in enumerate(TEXTS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["generate", "--recipe", "hq", "--input", str(path), "--out", str(tmp_path / "cli")]
    command += ["--engine", "openai", "--base-url", server.url, "--model", "test-model"]
    done = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    wanted = [
        document.text
        for document in read_dataset(
            Dataset(next((tmp_path / "cli").rglob("manifest.json")).parent)
        )
    ]
    assert len(wanted) == len(TEXTS)
    for source in (TEXTS, rows, pa.Table.from_pylist(rows), path, [path]):
        found = made(server, source)
        assert [document["text"] for document in found] == wanted
        assert len(found) == len(TEXTS) and found[0]["source_id"] == "0"


def test_a_call_again_asks_for_nothing(server: FaultServer, tmp_path: Path) -> None:
    first = made(server, TEXTS, out=tmp_path / "out")
    asked = len(server.received)
    again = made(server, TEXTS, out=tmp_path / "out")
    assert list(again) == list(first) and len(server.received) == asked
    assert "9 documents" in repr(again)
    assert (tmp_path / "out" / "documents").is_dir()


def test_results_without_a_folder_go_with_their_object(server: FaultServer) -> None:
    found = made(server, TEXTS[:2])
    folder = found.folder
    assert folder.exists()
    del found
    assert not folder.exists()


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([], "documents: found no documents; expected a path"),
        ([{"body": "x"}], "found no text in document 0"),
        (7, "documents: found int; expected a path"),
        ("nowhere.jsonl", "nowhere.jsonl"),
    ],
)
def test_what_is_no_text_is_named(server: FaultServer, documents: Any, said: str) -> None:
    with pytest.raises(sl.UsageError, match=said):
        made(server, documents)


def test_engines_refuse_what_they_do_not_take(server: FaultServer) -> None:
    with pytest.raises(sl.UsageError, match="threads"):
        sl.engines.OpenAI(server.url, threads=3)
    with pytest.raises(sl.UsageError, match="found 'hqq'"):
        sl.generate(TEXTS, "hqq", engine=sl.engines.OpenAI(server.url))
