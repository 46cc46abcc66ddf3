"""What cannot be read costs itself, is counted and named; of nothing, no corpus is made."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from synthlaw.cli.prepare import prepare
from synthlaw.common.errors import UsageError
from synthlaw.corpus import pipeline
from synthlaw.corpus.documents import read_documents
from synthlaw.corpus.language import brought_language, code_of
from synthlaw.corpus.readers.read import read_pieces
from synthlaw.corpus.readers.sources import all_input_files, find_input_files
from synthlaw.corpus.settings import Settings
from synthlaw.corpus.stages import Only
from synthlaw.execute.inline import InlineExecutor

ENGLISH = "The old bridge was built of stone, and the people of the town cross it every day number"
GERMAN = "Die alte Brücke wurde aus Stein gebaut, und die Leute der Stadt gehen jeden Tag darüber"


def text(number: int, base: str = ENGLISH) -> str:
    return " ".join(f"{base} {number} {k}." for k in range(3))


def rows(count: int, **fields: Any) -> bytes:
    lines = [json.dumps({"id": f"d{n}", "text": text(n), **fields}) + "\n" for n in range(count)]
    return "".join(lines).encode()


def run(folder: Path, *arguments: str) -> tuple[Any, dict[str, Any]]:
    """The command on everything in `folder`/in; its result and its JSON if it has any."""
    given = ["--input", str(folder / "in"), "--out", str(folder / "out"), "--dedup", "none"]
    given += ["--no-signals", "--workers", "1", "--json"]
    result = CliRunner().invoke(prepare, [*given, *arguments], standalone_mode=False)
    return result, json.loads(result.stdout) if result.exception is None else {}


def documents(folder: Path) -> list[Any]:
    parts = sorted((folder / "out" / "documents").glob("*.parquet"))
    return [document for part in parts for document in read_documents(part)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one good file; tests add others."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "good.jsonl").write_bytes(rows(3))
    return tmp_path


BROKEN = {
    "torn.jsonl.gz": (gzip.compress(rows(50))[:-20], "cannot be read to its end"),
    "page.jsonl.gz": (b"<?xml version='1.0'?><Error>NoSuchKey</Error>", "not JSON"),
    "empty.jsonl": (b"", "empty: found nothing in it"),
    "empty.txt": (b"", "empty: found nothing in it"),
    "empty.warc.gz": (b"", "empty: found nothing in it"),
    "empty.jsonl.gz": (gzip.compress(b""), "empty: found nothing in it"),
    "zip.warc.gz": (b"PK\x03\x04 a zip", "expected a WARC file"),
    "zip.parquet": (b"PK\x03\x04 a zip", "expected a Parquet file"),
    "cut.parquet": (b"PAR1 cut", "not a readable Parquet file"),
    "dict.warc.zst": (b"\x5d\x2a\x4d\x18\x04\0\0\0abcd", "expected a zstd dictionary"),
    "null.jsonl": (b'{"text": null}\n', "found 'text' null"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_costs_itself_and_is_named(folder: Path, name: str) -> None:
    data, said = BROKEN[name]
    (folder / "in" / name).write_bytes(data)
    result, counts = run(folder)
    assert result.exception is None
    assert {d.id for d in documents(folder)} >= {"d0", "d1", "d2"}
    named = [json.loads(line) for line in (folder / "out" / "bad_records.jsonl").open()]
    assert named[0]["file"].endswith(name) and said in named[0]["reason"]
    assert counts["broken_files"] or counts["bad_records"]
    # The same corpus, asked for strictly, is refused, also when it is there already.
    for arguments in (["--strict"], ["--strict", "--seed", "1"]):
        result, _ = run(folder, *arguments)
        assert isinstance(result.exception, UsageError)
        assert said in str(result.exception)


@pytest.mark.parametrize("name", BROKEN)
def test_of_nothing_no_corpus_is_made(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    data, said = BROKEN[name]
    # A torn file that gives documents is not nothing.
    (tmp_path / "in" / name).write_bytes(data[:40] if name.startswith("torn") else data)
    result, _ = run(tmp_path)
    assert isinstance(result.exception, UsageError)
    assert "no document was read" in str(result.exception) and said in str(result.exception)
    with pytest.raises(UsageError, match="no document was read"):
        list(read_pieces(find_input_files("in", tmp_path)))


def test_a_high_share_of_bad_records_is_said_first(folder: Path) -> None:
    (folder / "in" / "bad.jsonl").write_bytes(b'{"body": "x"}\n' * 9)
    given = ["--input", str(folder / "in"), "--out", str(folder / "out"), "--workers", "1"]
    shown = CliRunner().invoke(prepare, given, standalone_mode=False).stdout
    assert "WARNING: 75% of the records could not be read" in shown
    assert "9 with: found no 'text' but 'body'" in shown


def test_documents_that_all_are_left_out_are_an_error(folder: Path) -> None:
    for arguments, said in (
        (["--language", "de"], "3 with language not de; languages found: en (3)"),
        (["--keep", "language_score > 2"], "3 with condition not met"),
    ):
        result, _ = run(folder, *arguments)
        assert isinstance(result.exception, UsageError)
        assert "no document is left of 3 read" in str(result.exception)
        assert said in str(result.exception)


def test_a_broken_shard_of_redpajama_costs_itself(tmp_path: Path) -> None:
    for shard, data in (("0000", rows(2)), ("0001", b"<Error/>"), ("0002", rows(2))):
        path = tmp_path / "documents" / "2023-06" / shard / "en_head.json.gz"
        path.parent.mkdir(parents=True)
        path.write_bytes(gzip.compress(data.replace(b'"text"', b'"raw_content"')))
    read = list(read_pieces(find_input_files("redpajama:.", tmp_path)))
    assert [d.id for d in read] == [
        f"2023-06/{shard}/en_head.json.gz/{n}" for shard in ("0000", "0002") for n in (0, 1)
    ]
    beside = tmp_path / "duplicates" / "2023-06" / "0002" / "en_head.duplicates.parquet"
    beside.parent.mkdir(parents=True)
    beside.write_bytes(b"PAR1 cut")
    # Without it every document would pass for no duplicate.
    assert len(list(read_pieces(find_input_files("redpajama:.", tmp_path)))) == 2


def test_files_of_one_name_give_different_identities_wherever_they_lie(tmp_path: Path) -> None:
    found = []
    for root in ("here", "moved/deeper"):
        for shard in ("a", "b/a", "b/c"):
            path = tmp_path / root / shard / "x.jsonl"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps({"text": shard}) + "\n")
        (tmp_path / root / "notes.txt").write_text("notes")
        found.append([d.id for d in read_pieces(find_input_files(root, tmp_path))])
        pieces = all_input_files([f"{root}/{s}/x.jsonl" for s in ("a", "b/a", "b/c")], tmp_path)
        assert [d.id for d in read_pieces(pieces)] == [
            f"{shard}/x.jsonl:1" for shard in ("a", "b/a", "b/c")
        ]
    assert found[0] == found[1]
    assert found[0] == ["a/x.jsonl:1", "b/a/x.jsonl:1", "b/c/x.jsonl:1", "notes.txt"]


LANGUAGES = {
    "en": ["en", "EN", "eng", "eng_Latn", "en-US", "en_US.UTF-8", "English", "__label__en"],
    "de": ["de", "deu", "ger", "deu_Latn", "de-CH", "German", "Deutsch", " german "],
    "zh": ["zh", "zho", "zho_Hans", "cmn_Hant", "zh-CN", "Chinese", "Simplified Chinese"],
    "no": ["no", "nb", "nob_Latn", "Norwegian"],
}


@pytest.mark.parametrize(
    ("name", "code"), [(name, code) for code, names in LANGUAGES.items() for name in names]
)
def test_languages_are_known_by_what_people_call_them(name: str, code: str) -> None:
    assert code_of(name) == code


@pytest.mark.parametrize(
    "name", ["", "unknown", "N/A", "und", "xx", "5", "en,de", "x" * 5000, "\0"]
)
def test_what_is_no_language_is_none(name: str) -> None:
    assert code_of(name) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("English", ("en", None)),
        ({"en": 0.9, "de": 0.05}, ("en", 0.9)),
        ({"eng_Latn": 1}, ("en", 1.0)),
        (["en"], ("en", None)),
        *((value, None) for value in (None, 5, True, {}, [], {"en": "high"}, [3], {"en": 1e999})),
    ],
)
def test_a_language_may_be_brought_in_many_forms(value: Any, expected: Any) -> None:
    assert brought_language(value) == expected


@pytest.mark.parametrize("form", ["English", "eng_Latn", "en-US", {"en": 0.99}, "unknown", None, 7])
def test_a_language_column_in_other_words_does_not_empty_the_corpus(
    folder: Path, form: Any
) -> None:
    (folder / "in" / "good.jsonl").write_bytes(rows(3, language=form))
    (folder / "in" / "german.jsonl").write_text(
        json.dumps({"id": "de", "text": text(0, GERMAN), "language": "Deutsch"}) + "\n"
    )
    for asked in ("en", "English", "eng_Latn"):
        result, counts = run(folder, "--language", asked)
        assert result.exception is None
        assert counts["left_out"] == {"language not en": 1}
        assert [d.id for d in documents(folder)] == ["d0", "d1", "d2"]
        assert {d.fields["language"] for d in documents(folder)} == {"en"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**70, "many", [1], None, True])
def test_a_signal_that_was_brought_and_is_no_number_is_computed(folder: Path, value: Any) -> None:
    (folder / "in" / "good.jsonl").write_bytes(rows(1, rps_doc_word_count=value))
    given = ["--input", str(folder / "in"), "--out", str(folder / "out"), "--dedup", "none"]
    result = CliRunner().invoke(prepare, [*given, "--workers", "1"], standalone_mode=False)
    assert result.exception is None
    (document,) = documents(folder)
    assert document.fields["rps_doc_word_count"] == len(document.text.split())


def test_columns_that_differ_between_files_are_written(folder: Path) -> None:
    far = pa.array([2**58], pa.timestamp("us"))
    table = pa.table({"id": ["p"], "text": [text(9)], "when": far, "n": [2**63 - 1]})
    pq.write_table(table, folder / "in" / "p.parquet")
    (folder / "in" / "q.jsonl").write_bytes(rows(1, when=5, n=1.5, more={"a": [1, "x"]}))
    result, counts = run(folder)
    assert result.exception is None and counts["documents"] == 5
    found = {d.id: d.fields for d in documents(folder)}
    assert json.loads(found["p"]["when"]) == "11103-08-29T17:22:31.711744"
    assert json.loads(found["p"]["n"]) == 2**63 - 1


def test_faults_do_not_depend_on_how_files_are_shared_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "in" / "more.jsonl").write_bytes(rows(2) + b'{"body": "x"}\nno JSON\n')
    for name in ("empty.jsonl", "cut.parquet", "torn.jsonl.gz"):
        (folder / "in" / name).write_bytes(BROKEN[name][0])
    _, whole = run(folder)
    named = (folder / "out" / "bad_records.jsonl").read_text()
    shutil.rmtree(folder / "out")
    monkeypatch.setattr(pipeline, "READ_BYTES", 1)
    result, counts = run(folder, "--workers", "2")
    assert result.exception is None
    assert counts == whole
    assert (folder / "out" / "bad_records.jsonl").read_text() == named
    assert len(named.splitlines()) == counts["bad_records"] + len(counts["broken_files"]) == 5
    # What is bad is named also when that is why there is no corpus.
    result, _ = run(folder, "--language", "de")
    assert "no document is left" in str(result.exception)
    assert (folder / "out" / "bad_records.jsonl").read_text() == named
    result, _ = run(folder, "--workers", "2", "--strict", "--seed", "1")
    assert isinstance(result.exception, UsageError)


def test_a_file_of_other_sets_alone_is_an_error_that_names_them(tmp_path: Path) -> None:
    sets = ["ArXiv", "Github", "ArXiv"]
    lines = [{"text": text(n), "meta": {"pile_set_name": name}} for n, name in enumerate(sets)]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    files = find_input_files("x.jsonl", tmp_path)
    source = pipeline.Source(files, only=Only("meta.pile_set_name", "FreeLaw"))
    with pytest.raises(
        UsageError,
        match=r"no document is left of 3 read; left out: those of another meta.pile_set_name than "
        r"'FreeLaw': ArXiv \(2\), Github \(1\)",
    ):
        pipeline.make_corpus([source], Settings(), tmp_path / "out", InlineExecutor())
