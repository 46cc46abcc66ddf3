"""Writing token sets: the same bytes by any number of workers, after kills, after damage."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.corpus.documents import Document, write_documents
from synthlaw.corpus.readers.input_file import InputFile
from synthlaw.corpus.readers.sources import find_input_files
from synthlaw.corpus.sampling import first_texts
from synthlaw.execute.executors.local import LocalExecutor
from synthlaw.execute.inline import InlineExecutor
from synthlaw.tokens import writing
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.tokenizer import Tokenizer
from synthlaw.tokens.writing import holds_set, write_dataset, write_texts

TEXTS = [f"The river {i} of the stone market was winter {i * i}. " * (i % 7) for i in range(300)]
SHARD = 4000


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def files(tmp_path: Path) -> list[InputFile]:
    """The texts in four files."""
    for number in range(4):
        documents = [Document(str(n), TEXTS[n]) for n in range(75 * number, 75 * number + 75)]
        write_documents(tmp_path / "texts" / f"{number}.jsonl", documents)
    return find_input_files("texts", tmp_path)


def write(
    folder: Path,
    files: list[InputFile],
    tokenizer: Tokenizer,
    workers: int = 1,
    strict: bool = False,
) -> dict[str, bytes]:
    with LocalExecutor(workers) if workers > 1 else InlineExecutor() as executor:
        write_dataset(folder, files, tokenizer, executor, shard_characters=SHARD, strict=strict)
    return contents(folder)


@pytest.fixture(autouse=True)
def _one_job_a_file(monkeypatch: pytest.MonkeyPatch, files: list[InputFile]) -> None:
    monkeypatch.setattr(writing, "FILES_BYTES", max(file.size for file in files))


def test_bytes_do_not_depend_on_the_number_of_workers(
    tmp_path: Path, files: list[InputFile], tokenizer: Tokenizer
) -> None:
    alone = write(tmp_path / "1", files, tokenizer)
    assert sum(name.endswith(".bin") for name in alone) > 8
    assert write(tmp_path / "3", files, tokenizer, workers=3) == alone


def test_a_set_holds_its_texts_in_order_however_they_are_cut_into_jobs(
    tmp_path: Path,
    files: list[InputFile],
    tokenizer: Tokenizer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = []
    for most in (1, 10**9):
        monkeypatch.setattr(writing, "FILES_BYTES", most)
        write(tmp_path / str(most), files, tokenizer)
        data = TokenDataset(tmp_path / str(most))
        data.verify()
        assert [tokenizer.decode(data.document(n)) for n in range(300)] == TEXTS
        ids.append(data.read(0, data.manifest.tokens).tolist())
    assert ids[0] == ids[1]


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 100))
@settings(max_examples=12)
def test_documents_come_back_whatever_the_shard_size(
    tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer, sizes: list[int], shard: int
) -> None:
    folder = tmp_path_factory.mktemp("set")
    texts = ["river stone " * size for size in sizes]
    manifest = write_texts(folder, texts, tokenizer, shard_characters=shard)
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
    kept = {path: path.stat().st_mtime_ns for path in out.glob("00000-00[01].*")}
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


def test_deleted_shards_are_made_again(
    tmp_path: Path, files: list[InputFile], tokenizer: Tokenizer
) -> None:
    folder = tmp_path / "set"
    before = write(folder, files, tokenizer)
    (folder / "00000-001.bin").unlink()
    (folder / "00002-000.idx").write_bytes(b"torn")
    untouched = {
        name: (folder / f"{name}.bin").stat().st_mtime_ns for name in ("00000-000", "00001-000")
    }
    assert write(folder, files, tokenizer) == before
    for name, changed in untouched.items():
        assert (folder / f"{name}.bin").stat().st_mtime_ns == changed


def test_a_finished_set_is_not_read_again(
    tmp_path: Path, files: list[InputFile], tokenizer: Tokenizer
) -> None:
    before = write(tmp_path / "set", files, tokenizer)
    for path in (tmp_path / "texts").iterdir():
        path.unlink()
    assert write(tmp_path / "set", files, tokenizer) == before


def test_other_work_in_the_folder_is_refused(
    tmp_path: Path, files: list[InputFile], tokenizer: Tokenizer
) -> None:
    write(tmp_path / "set", files, tokenizer)
    before = contents(tmp_path / "set")
    for given_files, shard in ((files[1:], SHARD), (files, SHARD + 1)):
        with pytest.raises(UsageError, match="holds a token set of other texts"):
            write_dataset(
                tmp_path / "set", given_files, tokenizer, InlineExecutor(), shard_characters=shard
            )
    assert contents(tmp_path / "set") == before


def test_a_failure_on_the_way_leaves_finished_shards(
    tmp_path: Path, files: list[InputFile], tokenizer: Tokenizer
) -> None:
    whole = write(tmp_path / "whole", files, tokenizer)
    good = (tmp_path / "texts" / "1.jsonl").read_text()
    (tmp_path / "texts" / "1.jsonl").write_text(good + "no document\n")
    with pytest.raises(UsageError, match=r"1\.jsonl:76: not JSON"):
        write(tmp_path / "set", files, tokenizer, strict=True)
    assert len(list((tmp_path / "set").glob("00000-*.note.json"))) >= 2
    assert len(list((tmp_path / "set").glob("00001-*.note.json"))) >= 1
    assert not list((tmp_path / "set").glob(".aside-*"))
    with pytest.raises(UsageError, match="unfinished token set of other texts"):
        write(tmp_path / "set", files[:2], tokenizer)
    (tmp_path / "texts" / "1.jsonl").write_text(good)
    assert write(tmp_path / "set", files, tokenizer) == whole


def test_what_cannot_be_read_costs_itself_and_is_said(
    tmp_path: Path,
    files: list[InputFile],
    tokenizer: Tokenizer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = write(tmp_path / "whole", files, tokenizer)
    assert capsys.readouterr().err == ""
    with (tmp_path / "texts" / "1.jsonl").open("a") as stream:
        stream.write("no document\n" * 2)
    broken = InputFile("documents", str(tmp_path / "x.parquet"), "")
    Path(broken.path).write_bytes(b"PAR1 cut")
    spoiled = write(tmp_path / "spoiled", [*files, broken], tokenizer, workers=2)
    shards = {name for name in whole if name.endswith(".bin")}
    assert {name: spoiled[name] for name in shards} == {name: whole[name] for name in shards}
    # Lines are broken where they end, within names too.
    said = "".join(capsys.readouterr().err.split())
    assert "bad:2records,2with:notJSON" in said
    assert "x.parquet:notareadableParquetfile" in said
    with pytest.raises(UsageError, match=r"(?s)no document was read.*x\.parquet: not a readable"):
        write(tmp_path / "nothing", [broken], tokenizer)
    assert not holds_set(tmp_path / "nothing")
    with pytest.raises(UsageError, match=r"no document was read"):
        list(first_texts([broken], 1000))


def test_an_input_that_changed_between_runs_is_found(
    tmp_path: Path, files: list[InputFile], tokenizer: Tokenizer
) -> None:
    folder = tmp_path / "set"
    write(folder, files, tokenizer)
    (folder / "00001-001.bin").unlink()
    # Behind the back of those who named its content.
    place = tmp_path / "texts" / "1.jsonl"
    place.write_text(json.dumps({"text": "x" * 2000}) + "\n" + place.read_text())
    with pytest.raises(UsageError, match="the input is not what it was"):
        write(folder, files, tokenizer)


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
    assert "the disk is full" in said and "what is finished is kept" in said
    assert "Traceback" not in said
    kept, whole = contents(tmp_path / "kept"), contents(tmp_path / "whole")
    shards = [name for name in kept if name.endswith((".bin", ".idx"))]
    assert len(shards) >= 2
    assert all(kept[name] == whole[name] for name in shards)
    TokenDataset(tmp_path / "whole").verify()
