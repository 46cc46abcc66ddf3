"""A corpus from files to documents: what is planted is found, whatever is done to the process."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from webarchive import Archive, page

from synthlaw.common.errors import UsageError
from synthlaw.common.parts import Dataset
from synthlaw.corpus import pipeline
from synthlaw.corpus.decontamination import index_of
from synthlaw.corpus.dedup import buckets
from synthlaw.corpus.documents import Document, read_documents
from synthlaw.corpus.pipeline import Source, make_corpus
from synthlaw.corpus.readers.sources import find_input_files
from synthlaw.corpus.settings import Settings
from synthlaw.corpus.stages import Only
from synthlaw.execute.executors.local import LocalExecutor
from synthlaw.execute.inline import InlineExecutor

SYLLABLES = ["ka", "lo", "mi", "ren", "sto", "vel", "dra", "pon", "tu", "gis"]
COMMON = ["the", "of", "and", "to", "in", "is", "that", "it", "was", "for", "with"]


def sentence(rng: np.random.Generator, words: int = 12) -> str:
    made = [
        COMMON[rng.integers(len(COMMON))]
        if rng.random() < 0.4
        else "".join(SYLLABLES[k] for k in rng.integers(0, 10, rng.integers(2, 4)))
        for _ in range(words)
    ]
    return " ".join(made).capitalize() + "."


def article(rng: np.random.Generator, lines: int = 6) -> str:
    return "\n".join(" ".join(sentence(rng) for _ in range(3)) for _ in range(lines))


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    """Three files: articles; exact copies and near-copies of some; pages with a shared footer."""
    rng = np.random.default_rng(3)
    texts = [article(rng) for _ in range(40)]
    write(tmp_path / "a.jsonl", [{"id": f"a{n}", "text": t, "n": n} for n, t in enumerate(texts)])
    copies = [{"id": f"a{n}", "text": texts[n] + "\n", "n": None} for n in range(10)]
    near = []
    for n in range(10, 20):
        words = texts[n].split(" ")
        words[7] = "changed"
        near.append({"id": f"near{n}", "text": " ".join(words), "extra": {"k": n}})
    write(tmp_path / "b.jsonl", copies + near)
    made = Archive()
    for n in range(5):
        body = page(f"Page {n}", [article(rng, 1), "Subscribe to our daily letter of the week."])
        made.response(f"http://example.org/{n}", body)
    members, _ = made.packed()
    members[2] = members[2][:-30]
    (tmp_path / "c.warc.gz").write_bytes(b"".join(members))
    return tmp_path


def make(crawl: Path, out: str, workers: int = 1, **options: Any) -> tuple[dict[str, Any], Path]:
    places = ["a.jsonl", "b.jsonl", "c.warc.gz"]
    sources = [Source(find_input_files(place, crawl)) for place in places]
    index = options.pop("index", None)
    with LocalExecutor(workers) as executor:
        counts = make_corpus(
            sources, Settings(**options), crawl / out, executor, index=index, evaluation="x"
        )
    return counts, crawl / out


def read(folder: Path) -> list[Document]:
    return [d for path in sorted(folder.glob("*.parquet")) for d in read_documents(path)]


def contents(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def test_what_is_planted_is_found_and_nothing_else(crawl: Path) -> None:
    counts, out = make(crawl, "out", dedup=("exact", "fuzzy"))
    assert counts["left_out"] == {"exact duplicate": 10, "near-duplicate": 10}
    assert (counts["read"], counts["bad_records"], counts["documents"]) == (64, 1, 44)
    table = pq.read_table(out / "duplicates.parquet").to_pylist()
    assert [(r["id"], r["repeats"], r["kind"]) for r in table] == [
        *((f"a{n}", f"a{n}", "exact") for n in range(10)),
        *((f"near{n}", f"a{n}", "near") for n in range(10, 20)),
    ]
    documents = read(out / "documents")
    assert [d.id for d in documents[:40]] == [f"a{n}" for n in range(40)]
    assert documents[3].fields["n"] == 3
    assert documents[41].fields["url"].startswith("http://example.org/")
    assert documents[0].fields["language_score"] <= 1
    assert documents[0].fields["rps_doc_word_count"] == len(documents[0].text.split())
    (bad,) = map(json.loads, (out / "bad_records.jsonl").read_text().splitlines())
    assert bad["file"].endswith("c.warc.gz") and bad["offset"] > 0
    assert not (out / "work").exists()


def test_paragraphs_that_were_there_before_are_cut(crawl: Path) -> None:
    counts, out = make(crawl, "out", dedup=("paragraphs",))
    footers = [d for d in read(out / "documents") if "Subscribe" in d.text]
    assert len(footers) == 1
    assert counts["left_out"]["every paragraph a duplicate"] == 10
    # Of a near-copy only the changed line, if it is long enough, is left.
    near = [d for d in read(out / "documents") if d.id.startswith("near")]
    assert all("\n" not in d.text and "changed" in d.text for d in near)


def test_the_bytes_do_not_depend_on_the_workers(crawl: Path) -> None:
    options: dict[str, Any] = {"held_out": 0.2, "max_words": 60}
    made = [contents(make(crawl, f"out{n}", workers=n, **options)[1]) for n in (1, 2)]
    assert made[0] == made[1]
    assert any(name.startswith("held_out/") for name in made[0])


def test_settings_choose_documents(crawl: Path) -> None:
    counts, out = make(crawl, "one", dedup=(), keep="n >= 10 and n < 20 and rps_doc_word_count > 9")
    assert [d.fields["n"] for d in read(out / "documents")] == list(range(10, 20))
    assert counts["left_out"] == {"condition not met": 54}
    (crawl / "de.jsonl").write_text(
        json.dumps({"id": "de", "text": "Der Fluss fließt an der alten Brücke vorbei. " * 5}) + "\n"
    )
    sources = [
        Source(find_input_files("de.jsonl", crawl)),
        Source(find_input_files("a.jsonl", crawl)),
    ]
    make_corpus(sources, Settings(language="de"), crawl / "two", InlineExecutor())
    assert [d.id for d in read(crawl / "two" / "documents")] == ["de"]
    (crawl / "mixed.jsonl").write_text(
        "".join(
            json.dumps({"id": f"{n}", "text": f"{'The old bridge. ' * 9}{n}", "n": n}) + "\n"
            for n in (1, "two", 3)
        )
    )
    mixed = [Source(find_input_files("mixed.jsonl", crawl))]
    settings = Settings(dedup=(), keep="n > 2")
    counts = make_corpus(mixed, settings, crawl / "four", InlineExecutor())
    assert [d.id for d in read(crawl / "four" / "documents")] == ["3"]
    assert counts["left_out"] == {
        "condition not met": 1,
        "a value that the condition cannot compare": 1,
    }
    with pytest.raises(UsageError, match="'colour', which no document has"):
        make(crawl, "three", keep="colour == 'red'")


def plain(tmp_path: Path, rows: list[dict[str, Any]], **options: Any) -> list[Document]:
    """The documents of a corpus made of `rows` with no more done to them than `options` ask."""
    write(tmp_path / "rows.jsonl", rows)
    chosen = Settings(**{"dedup": ("exact",), "annotate": False, **options})
    source = Source(find_input_files("rows.jsonl", tmp_path))
    make_corpus([source], chosen, tmp_path / "plain", InlineExecutor())
    return read(tmp_path / "plain" / "documents")


def test_without_annotations_documents_keep_their_own_columns(tmp_path: Path) -> None:
    texts = [article(np.random.default_rng(n), 2) for n in range(4)]
    rows = [{"id": str(n), "text": text, "k": n} for n, text in enumerate(texts)]
    rows.append({"id": "short", "text": "too short", "k": None})
    found = plain(tmp_path, rows)
    assert [(d.id, d.text, d.fields) for d in found] == [
        (str(n), text, {"k": n}) for n, text in enumerate(texts)
    ]
    assert [d.id for d in plain(tmp_path, rows, shortest_words=0)][-1] == "short"


def test_identities_are_made_unique(tmp_path: Path) -> None:
    rows = [{"id": "same", "text": f"text {n} " + "word " * 30} for n in range(3)]
    assert [d.id for d in plain(tmp_path, rows)] == ["same", "same~1", "same~2"]


def test_documents_are_split_whole_before_they_are_cut(tmp_path: Path) -> None:
    rows = [
        {"id": f"d{n}", "text": f"document number {n} speaks of " + "things " * 40}
        for n in range(200)
    ]
    training = plain(tmp_path, rows, held_out=0.2, max_words=15)
    held_out = read(tmp_path / "plain" / "held_out")
    sides = [{d.id.split("#")[0] for d in side} for side in (training, held_out)]
    assert not sides[0] & sides[1]
    assert sides[0] | sides[1] == {f"d{n}" for n in range(200)}
    assert 20 <= len(sides[1]) <= 60


@pytest.mark.parametrize("options", [{"held_out": 0.2, "max_words": 60}, {"dedup": ()}])
def test_parts_are_bounded_and_their_number_changes_nothing_else(
    crawl: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    _, whole = make(crawl, "whole", **options)
    monkeypatch.setattr(pipeline, "READ_BYTES", 1)
    monkeypatch.setattr(buckets, "AT_ONCE", 5)
    counts, out = make(crawl, "parted", part_bytes=8000, **options)
    expected = json.loads((whole / "counts.json").read_text())
    assert {**counts, "key": None} == {**expected, "key": None}
    for name in ("documents", "held_out"):
        assert read(out / name) == read(whole / name)
        made = Dataset(out / name)
        assert made.problems(verify=True) == []
        assert all(part.text_bytes <= 8000 for part in made.parts)
    assert len(Dataset(out / "documents").parts) > 5
    tables = [pq.read_table(folder / "duplicates.parquet").to_pylist() for folder in (out, whole)]
    assert tables[0] == tables[1]


def test_documents_of_another_set_are_not_taken(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    sets = ["ArXiv", "FreeLaw", None, "ArXiv"]
    rows = [
        {"id": str(n), "text": article(rng), "meta": {"pile_set_name": name} if name else None}
        for n, name in enumerate(sets)
    ]
    write(tmp_path / "pile.jsonl", rows)
    only = Only("meta.pile_set_name", "ArXiv")
    source = Source(find_input_files("pile.jsonl", tmp_path), only=only)
    counts = make_corpus([source], Settings(), tmp_path / "out", InlineExecutor())
    assert [d.id for d in read(tmp_path / "out" / "documents")] == ["0", "2", "3"]
    assert counts["others"] == [{"FreeLaw": 1}]


def test_a_source_gives_so_many_documents_by_seed(crawl: Path) -> None:
    pieces = find_input_files("a.jsonl", crawl)
    chosen = []
    for seed in (1, 1, 2):
        out = crawl / f"out{len(chosen)}"
        make_corpus([Source(pieces, documents=7)], Settings(seed=seed), out, InlineExecutor())
        chosen.append([d.id for d in read(out / "documents")])
    assert len(chosen[0]) == 7
    assert chosen[0] == chosen[1] != chosen[2]


def test_contamination_is_reported_and_removed(crawl: Path) -> None:
    texts = {d.id: d.text for d in read_documents(crawl / "a.jsonl")}
    piece = " ".join(texts["a5"].split()[10:30])
    sets = {"wiki": [Document("w0", f"Other words before. {piece} And after.")], "none": []}
    index = index_of({name: iter(docs) for name, docs in sets.items()})
    counts, out = make(crawl, "report", dedup=("exact",), index=index)
    wiki, none = counts["contamination"]["sets"]
    assert (wiki["contaminated_documents"], wiki["evaluation_documents_found"]) == (2, 1)
    assert (wiki["overlapping_words"], none["contaminated_documents"]) == (40, 0)
    rows = [json.loads(line) for line in (out / "contamination.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["a5", "a5"]  # the original and its exact copy
    assert rows[0]["evaluation_documents"] == ["w0"]
    ((start, end),) = rows[0]["spans"]
    assert texts["a5"][start:end].split() == piece.split() or piece.startswith(
        texts["a5"][start:end]
    )
    counts, out = make(crawl, "removed", dedup=("exact",), index=index, contaminated="remove")
    assert counts["left_out"]["contaminated"] == 2
    assert "a5" not in [d.id for d in read(out / "documents")]


def test_a_second_call_does_nothing_and_a_changed_file_everything_new(crawl: Path) -> None:
    first, out = make(crawl, "out")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    assert make(crawl, "out")[0] == first
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")} == before
    write(crawl / "a.jsonl", [{"id": "new", "text": article(np.random.default_rng(9))}])
    make(crawl, "out")
    assert next(d.id for d in read(out / "documents")) == "new"


COMMAND = "from synthlaw.cli.main import main; main()"


@pytest.mark.slow
def test_killed_again_and_again_it_ends_as_if_it_never_was(crawl: Path) -> None:
    rng = np.random.default_rng(8)
    for file in range(4):
        rows = [{"id": f"{file}.{n}", "text": article(rng)} for n in range(100)]
        write(crawl / f"more{file}.jsonl", rows)
    arguments = ["prepare", "--input", str(crawl / "*.jsonl"), "--workers", "2", "--json"]

    def start(out: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments, "--out", str(crawl / out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    undisturbed = start("whole")
    answer = json.loads(undisturbed.communicate()[0])
    for moment in (1.5, 2.5, 3.5):
        process = start("killed")
        time.sleep(moment)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    process = start("killed")
    assert json.loads(process.communicate()[0]) == answer
    assert contents(crawl / "killed") == contents(crawl / "whole")


def test_a_folder_in_use_is_refused(crawl: Path) -> None:
    import fcntl

    (crawl / "out").mkdir()
    with (crawl / "out" / ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="in use by another process"):
            make(crawl, "out")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--dedup", "sentences"], "found 'sentences'; expected paragraphs, exact, fuzzy"),
        (["--keep", "open('x')"], "found \"open('x')\"; expected only columns"),
        (["--keep", "words > 3"], "the column 'words', which no document has"),
        (["--remove-contaminated"], "needs --decontaminate"),
        (["--held-out", "2"], "expected a share from 0"),
        (["--decontaminate", "nowhere.jsonl"], "no such file"),
        (["--input", "broken.jsonl", "--strict"], "broken.jsonl:1: not JSON"),
        (["--language", "nonsense"], "found 'nonsense', which is no language"),
        (["--language", "fr"], "no document is left of 40 read; left out: 40 with language not fr"),
    ],
)
def test_mistakes_end_with_status_2_and_say_what_is_right(
    crawl: Path, arguments: list[str], said: str
) -> None:
    from click.testing import CliRunner

    from synthlaw.cli.prepare import prepare

    (crawl / "broken.jsonl").write_text("{not json\n")
    given = ["--input", str(crawl / "a.jsonl"), "--out", str(crawl / "out")]
    moved = [a.replace("broken", str(crawl / "broken")) for a in arguments]
    result = CliRunner().invoke(prepare, [*given, *moved], standalone_mode=False)
    assert isinstance(result.exception, UsageError)
    assert said in str(result.exception)
