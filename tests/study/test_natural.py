"""The natural text of a study: crawls as input, what is chosen of them, what overlaps."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sandbox import Sandbox, prose, write_texts

from synthlaw.common import parts
from synthlaw.common.errors import UsageError
from synthlaw.common.parts import Dataset
from synthlaw.corpus.documents import read_dataset
from synthlaw.study.data import natural
from synthlaw.study.pipeline import run_study
from synthlaw.tokens import tokenizer
from synthlaw.tokens.dataset import TokenDataset


def run(sandbox: Sandbox) -> None:
    text = sandbox.write().read_text(encoding="utf-8")
    run_study(text, "study.yaml", sandbox.folder, sandbox.out, until="tokens")


def corpus(sandbox: Sandbox) -> dict[str, Any]:
    (path,) = sandbox.out.glob("artifacts/corpus/natural-*/counts.json")
    return dict(json.loads(path.read_text()))


def contamination(sandbox: Sandbox) -> dict[str, Any]:
    return dict(json.loads((sandbox.out / "contamination.json").read_text()))


def wet(path: Path, texts: list[str]) -> None:
    """A WET file with one record that is torn."""
    members = []
    for number, text in enumerate(texts):
        body = text.encode()
        head = (
            "WARC/1.0\r\nWARC-Type: conversion\r\n"
            f"WARC-Target-URI: http://example.org/{number}\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
            f"WARC-Record-ID: <urn:uuid:0-{number}>\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        members.append(gzip.compress(head.encode() + body + b"\r\n\r\n", mtime=0))
    members[3] = members[3][:-20]
    path.write_bytes(b"".join(members))


def test_a_study_reads_a_crawl_and_chooses_from_it(sandbox: Sandbox) -> None:
    rng = np.random.default_rng(4)
    texts = [prose(rng) for _ in range(60)]
    texts[20] = texts[10]
    texts[30] = texts[31].replace("river", "rivers", 1)
    texts[40] = prose(rng) + " zebra" * 40
    wet(sandbox.folder / "crawl.warc.wet.gz", texts)
    sandbox.value["natural"] = {"path": "crawl.warc.wet.gz"}
    sandbox.value["corpus"] = {"held_out": 0.1, "keep": "rps_doc_frac_unique_words > 0.17"}
    run(sandbox)
    counts = corpus(sandbox)
    assert counts["bad_records"] == 1
    assert counts["left_out"]["near-duplicate"] == 1
    assert counts["left_out"]["condition not met"] >= 1
    (folder,) = sandbox.out.glob("artifacts/corpus/natural-*/documents")
    document = next(read_dataset(Dataset(folder)))
    assert document.fields["url"].startswith("http://example.org/")
    assert not list(sandbox.out.glob("work/corpus/*"))


def test_broken_files_of_a_study_cost_themselves_unless_it_is_strict(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(5)
    folder = sandbox.folder / "shards"
    folder.mkdir()
    rows = [json.dumps({"text": prose(rng), "language": "English"}) + "\n" for _ in range(40)]
    for name, part in (("a", rows[:20]), ("b", rows[20:])):
        (folder / name).mkdir()
        (folder / name / "x.jsonl").write_text("".join(part) + '{"text": null}\n')
    (folder / "torn.jsonl.gz").write_bytes(b"<Error>NoSuchKey</Error>")
    (folder / "empty.jsonl").write_bytes(b"")
    sandbox.value["natural"] = {"path": "shards"}
    sandbox.value["corpus"] = {"held_out": 0.1, "language": "eng_Latn"}
    run(sandbox)
    counts = corpus(sandbox)
    assert (counts["read"], counts["bad_records"]) == (40, 3)
    assert [found["reason"] for found in counts["broken_files"]] == ["empty: found nothing in it"]
    (training,) = sandbox.out.glob("artifacts/corpus/natural-*/documents")
    names = [document.id for document in read_dataset(Dataset(training))]
    assert len(set(names)) == len(names)
    assert {name.split(":")[0] for name in names} == {"a/x.jsonl", "b/x.jsonl"}
    assert "natural: broken: 1 files" in " ".join(capsys.readouterr().err.split())
    sandbox.value["corpus"]["strict"] = True
    with pytest.raises(UsageError, match="empty: found nothing in it"):
        run(sandbox)
    sandbox.value["corpus"] = {"language": "gibberish"}
    with pytest.raises(UsageError, match="'gibberish', which is no language"):
        run(sandbox)


@pytest.mark.parametrize(
    ("place", "named"),
    [("sources.given", "given.jsonl"), ("evaluation.domains.other", "other.jsonl")],
)
def test_bad_lines_of_given_text_and_domains_are_said_unless_the_study_is_strict(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], place: str, named: str
) -> None:
    write_texts(sandbox.folder / "given.jsonl", 60, seed=8)
    sandbox.value["sources"] = {"given": {"path": "given.jsonl"}}
    with (sandbox.folder / named).open("a") as stream:
        stream.write('{"text": null}\n')
    run(sandbox)
    said = " ".join(capsys.readouterr().err.split())
    assert f"{place}: bad: 1 records, 1 with: found 'text' null" in said
    # Refused also where it was made before.
    sandbox.value["corpus"] = {**sandbox.value.get("corpus", {}), "strict": True}
    with pytest.raises(UsageError, match=f"{place}: not everything could be read"):
        run(sandbox)
    shutil.rmtree(sandbox.out / "artifacts")
    with pytest.raises(UsageError, match=rf"{place}: .*{named}:\d+: found 'text' null"):
        run(sandbox)


@pytest.mark.parametrize("mode", ["report", "remove"])
def test_overlaps_with_a_domain_are_found_in_every_source(sandbox: Sandbox, mode: str) -> None:
    place = sandbox.folder / "natural.jsonl"
    rows = [json.loads(line) for line in place.read_text().splitlines()]
    leaked = " ".join(f"unusual{n}" for n in range(20))
    rows[0]["text"] += " " + leaked
    place.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with (sandbox.folder / "other.jsonl").open("a") as stream:
        stream.write(json.dumps({"id": "leak", "text": f"before {leaked} after"}) + "\n")
    sandbox.value["evaluation"]["documents"] = 100
    sandbox.value["corpus"] = {"held_out": 0.05, "decontaminate": mode}
    write_texts(sandbox.folder / "given.jsonl", 60, seed=8)
    sandbox.value["sources"] = {"given": {"path": "given.jsonl"}}
    run(sandbox)
    found = contamination(sandbox)
    assert found["mode"] == mode
    assert set(found["sources"]) == {"natural", "hq", "given"}
    sets = {row["set"]: row for row in found["sources"]["natural"]["sets"]}
    assert sets["other"]["contaminated_documents"] == 1
    assert sets["other"]["evaluation_documents_found"] == 1
    assert sets["other"]["overlapping_words"] == 20
    assert found["sources"]["given"]["contaminated"] == 0
    cleaned = list(sandbox.out.glob("artifacts/corpus/contamination-natural-*/documents"))
    assert len(cleaned) == (mode == "remove")
    for folder in cleaned:
        assert not any(leaked in document.text for document in read_dataset(Dataset(folder)))


def tokens(sandbox: Sandbox) -> dict[str, list[int]]:
    """The line of tokens of every set, by its name."""
    found = {}
    for folder in sandbox.out.glob("artifacts/tokens/*-*"):
        if (folder / "dataset.json").exists():
            data = TokenDataset(folder)
            ids = data.read(0, data.manifest.tokens).tolist()
            found[folder.name.rpartition("-")[0]] = ids
    return found


@pytest.mark.parametrize("mode", ["report", "remove"])
def test_parts_change_nothing_but_their_number(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    write_texts(sandbox.folder / "given.jsonl", 60, seed=8)
    sandbox.value["sources"] = {"given": {"path": "given.jsonl", "documents": 40}}
    sandbox.value["corpus"] = {"held_out": 0.2, "max_words": 40, "decontaminate": mode}
    sandbox.value["evaluation"]["max_tokens"] = 50
    run(sandbox)
    expected, found = tokens(sandbox), contamination(sandbox)
    assert set(expected) == {"natural", "hq", "given", "domain-natural", "domain-other"}
    shutil.rmtree(sandbox.out)
    monkeypatch.setattr(parts, "PART_BYTES", 3000)
    run(sandbox)
    for folder in sandbox.out.glob("artifacts/corpus/natural-*/documents"):
        assert len(Dataset(folder).parts) > 5
    assert tokens(sandbox) == expected
    assert contamination(sandbox) == found


def test_a_tokenizer_is_trained_on_a_sample_that_is_recorded(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for most in (10**9, 5000):
        monkeypatch.setattr(natural, "BPE_BYTES", most)
        monkeypatch.setattr(tokenizer, "BPE_BYTES", most)
        run(sandbox)
        sandbox.value["seed"] += 1
        for path in sandbox.out.glob("artifacts/tokens/tokenizer-*/sample.json"):
            seen.append(json.loads(path.read_text()))
        shutil.rmtree(sandbox.out)
    whole, part = seen
    assert whole["seed"] is None and part["seed"] == 8
    assert whole["documents"] > 40 > part["documents"]
    assert part["bytes"] == pytest.approx(5000, rel=0.2)
    assert part["most_bytes"] == 5000


def test_a_wrong_condition_is_told_with_its_key(sandbox: Sandbox) -> None:
    sandbox.value["corpus"] = {"keep": "open('x')"}
    with pytest.raises(UsageError, match=r"(?s)corpus\.keep.*expected only columns"):
        run(sandbox)
