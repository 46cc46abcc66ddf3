"""Writing token sets: the same bytes by any number of workers, after kills, after damage."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.tokens import writing
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.tokenizer import Tokenizer
from synthlaw.tokens.writing import write_dataset

TEXTS = [f"The river {i} of the stone market was winter {i * i}. " * (i % 7) for i in range(300)]
SHARD = 4000


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def write(folder: Path, tokenizer: Tokenizer, workers: int = 1) -> dict[str, bytes]:
    write_dataset(
        folder, TEXTS, tokenizer, made_from="texts", workers=workers, shard_characters=SHARD
    )
    return contents(folder)


def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path: Path, tokenizer: Tokenizer) -> None:
    alone = write(tmp_path / "1", tokenizer)
    assert sum(name.endswith(".bin") for name in alone) > 8
    assert write(tmp_path / "3", tokenizer, workers=3) == alone


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 100))
@settings(max_examples=12)
def test_documents_come_back_whatever_the_shard_size(
    tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer, sizes: list[int], shard: int
) -> None:
    folder = tmp_path_factory.mktemp("set")
    texts = ["river stone " * size for size in sizes]
    manifest = write_dataset(folder, texts, tokenizer, shard_characters=shard)
    data = TokenDataset(folder)
    data.verify()
    assert manifest.documents == len(texts)
    for index, text in enumerate(texts):
        assert tokenizer.decode(data.document(index)) == text


def run_tokenize(folder: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "synthlaw.cli.main", "tokenize"]
    command += ["--input", str(folder / "texts.jsonl"), "--out", str(folder / "set"), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def big(tmp_path: Path, tokenizer: Tokenizer) -> list[str]:
    """A text file that takes seconds, and the options that tokenize it."""
    with (tmp_path / "texts.jsonl").open("w") as stream:
        for number in range(700):
            text = f"The lantern {number} of the harbour was a meadow. " * (20 + number % 200)
            stream.write(json.dumps({"id": str(number), "text": text}) + "\n")
    return ["--tokenizer", str(tokenizer.path), "--workers", "2", "--shard-text", "400k"]


def test_a_killed_run_resumes_to_the_same_bytes(tmp_path: Path, big: list[str]) -> None:
    process = run_tokenize(tmp_path, *big)
    out = tmp_path / "set"
    until = time.monotonic() + 60
    while len(list(out.glob("*.note.json"))) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    children = [
        int(child)
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (out / "dataset.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in out.glob("0000[01].*")}
    assert len(kept) == 6
    with pytest.raises(UsageError, match="not a finished token set"):
        TokenDataset(out)
    again = run_tokenize(tmp_path, *big)
    assert again.wait() == 0, again.stderr.read() if again.stderr else ""
    for path, changed in kept.items():
        assert path.name.endswith(".note.json") or path.stat().st_mtime_ns == changed
    resumed = contents(out)
    shutil.rmtree(out)
    assert run_tokenize(tmp_path, *big).wait() == 0
    assert contents(out) == resumed
    for child in children:  # no worker outlives its parent
        assert not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text()


def test_deleted_shards_are_made_again(tmp_path: Path, tokenizer: Tokenizer) -> None:
    before = write(tmp_path / "set", tokenizer)
    (tmp_path / "set" / "00002.bin").unlink()
    (tmp_path / "set" / "00004.idx").write_bytes(b"torn")
    untouched = (tmp_path / "set" / "00001.bin").stat().st_mtime_ns
    assert write(tmp_path / "set", tokenizer) == before
    assert (tmp_path / "set" / "00001.bin").stat().st_mtime_ns == untouched


def test_a_finished_set_is_not_read_again(tmp_path: Path, tokenizer: Tokenizer) -> None:
    before = write(tmp_path / "set", tokenizer)

    def never() -> Iterator[str]:
        raise AssertionError("the texts were read")
        yield ""

    again = write_dataset(
        tmp_path / "set", never(), tokenizer, made_from="texts", shard_characters=SHARD
    )
    assert again.documents == len(TEXTS)
    assert contents(tmp_path / "set") == before


def test_other_work_in_the_folder_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    write(tmp_path / "set", tokenizer)
    before = contents(tmp_path / "set")
    for made_from, shard in (("other", SHARD), ("texts", SHARD + 1), (None, SHARD)):
        with pytest.raises(UsageError, match="holds a token set of other texts"):
            write_dataset(
                tmp_path / "set",
                TEXTS,
                tokenizer,
                made_from=made_from,
                shard_characters=shard,
            )
    assert contents(tmp_path / "set") == before


def test_a_failure_on_the_way_leaves_finished_shards(tmp_path: Path, tokenizer: Tokenizer) -> None:
    def broken() -> Iterator[str]:
        yield from TEXTS[:100]
        raise UsageError("bad line")

    with pytest.raises(UsageError, match="bad line"):
        write_dataset(tmp_path, broken(), tokenizer, made_from="texts", shard_characters=SHARD)
    notes = len(list(tmp_path.glob("*.note.json")))
    assert notes >= 2
    assert not list(tmp_path.glob(".aside-*"))
    with pytest.raises(UsageError, match="unfinished token set of other texts"):
        write_dataset(tmp_path, TEXTS, tokenizer, made_from="other", shard_characters=SHARD)
    # What is there is of the first hundred texts of the same input: it is built upon.
    assert write(tmp_path, tokenizer) == write(tmp_path.parent / "whole", tokenizer)


def test_an_input_that_changed_between_runs_is_found(tmp_path: Path, tokenizer: Tokenizer) -> None:
    write(tmp_path, tokenizer)
    (tmp_path / "00003.bin").unlink()
    with pytest.raises(UsageError, match="the input is not what it was"):
        write_dataset(
            tmp_path,
            ["x" * 100, *TEXTS],
            tokenizer,
            made_from="texts",
            shard_characters=SHARD,
        )


def test_a_worker_that_dies_is_an_error_and_not_a_wait(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = os.getpid()

    def texts() -> Iterator[str]:
        for number, text in enumerate(TEXTS):
            if number == 200:
                children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
                for child in children:
                    if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text():
                        os.kill(int(child), signal.SIGKILL)
            yield text

    monkeypatch.setattr(writing, "BLOCK_DOCUMENTS", 20)
    with pytest.raises(SynthlawError, match="ended before its work was done"):
        write_dataset(tmp_path, texts(), tokenizer, made_from="texts", workers=2)


FULL_DISK = """
mount -t tmpfs -o size=2m none "$1/set" || exit 77
"$2" -m synthlaw.cli.main tokenize --input "$1/texts.jsonl" --out "$1/set" --tokenizer "$3" \
    --shard-text 700k 2>"$1/first.txt"
echo "$?" >"$1/status"
cp "$1"/set/0000* "$1/kept/"
mount -o remount,size=64m "$1/set" || exit 77
"$2" -m synthlaw.cli.main tokenize --input "$1/texts.jsonl" --out "$1/set" --tokenizer "$3" \
    --shard-text 700k || exit 1
cp "$1"/set/* "$1/whole/"
"""


def test_a_disk_that_fills_keeps_the_shards_before(
    tmp_path: Path, big: list[str], tokenizer: Tokenizer
) -> None:
    for name in ("set", "kept", "whole"):
        (tmp_path / name).mkdir()
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", FULL_DISK, "sh"]
    command += [str(tmp_path), sys.executable, str(tokenizer.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "status").read_text().strip() == "1"
    said = (tmp_path / "first.txt").read_text()
    assert "the disk is full" in said and "finished shards are kept" in said
    assert "Traceback" not in said
    kept, whole = contents(tmp_path / "kept"), contents(tmp_path / "whole")
    shards = [name for name in kept if name.endswith((".bin", ".idx"))]
    assert len(shards) >= 2
    assert all(kept[name] == whole[name] for name in shards)
    TokenDataset(tmp_path / "whole").verify()
