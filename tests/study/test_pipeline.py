"""A whole study against a stand-in server: golden path, resumption, changes, damage, faults."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sandbox import Sandbox, write_texts

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.parts import Dataset
from synthlaw.corpus.documents import read_dataset, read_documents
from synthlaw.generate.recipe import load_recipe
from synthlaw.study import pipeline
from synthlaw.study.pipeline import Outcome, run_study


def run(sandbox: Sandbox, **options: str) -> Outcome:
    path = sandbox.write()
    text = path.read_text(encoding="utf-8")
    return run_study(text, "study.yaml", sandbox.folder, sandbox.out, **options)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "runs.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def losses(folder: Path) -> dict[str, str]:
    return {row["run"]: row["loss"] for row in rows(folder)}


@pytest.mark.isa
def test_a_study_from_file_to_page(sandbox: Sandbox) -> None:
    outcome = run(sandbox)
    assert outcome.page is not None and outcome.page.exists()
    table = rows(sandbox.out)
    assert len(table) == 2 * 2 * 4
    assert {row["mixture"] for row in table} == {"CC", "33HQ"}
    untrained = json.loads((sandbox.out / "evaluation.json").read_text())["untrained"]
    for row in table:
        size = "a" if row["run"].split("-")[1] == "a" else "b"
        before = untrained[f"untrained-{size}-s0"]
        for domain in ("natural", "other"):
            assert float(row[f"loss/{domain}"]) < before[domain]
        mean = (float(row["loss/natural"]) + float(row["loss/other"])) / 2
        assert float(row["loss"]) == pytest.approx(mean)
    laws = json.loads((sandbox.out / "laws.json").read_text())["laws"]
    assert {law["law"] for law in laws} == {"data", "joint"}
    skipped = json.loads((sandbox.out / "laws.json").read_text())["skipped"]
    assert {row["law"] for row in skipped} == {"model"}  # two sizes carry none
    assert "Laws that these runs cannot carry" in outcome.page.read_text()
    assert str(sandbox.out) not in (sandbox.out / "laws.json").read_text()
    data = next(law for law in laws if law["law"] == "data")
    assert data["holdout"]["points"] == 1
    assert data["holdout"]["rmabe"] >= 0
    advice = json.loads((sandbox.out / "advice.json").read_text())
    assert advice["advice"] and advice["limits"]
    assert {row["mixture"] for row in advice["options"]} | {advice["baseline"]["mixture"]} == {
        row["mixture"] for row in table
    }
    for use in json.loads((sandbox.out / "mixtures.json").read_text()):
        assert all(source["epochs"] <= 1 for source in use["sources"])
    curves = pq.read_table(sandbox.out / "training_curves.parquet").to_pylist()
    for row in table:
        curve = [point for point in curves if point["run"] == row["run"]]
        assert [point["step"] for point in curve] == [*range(1, len(curve) + 1)]
        assert curve[-1]["tokens"] == int(row["tokens"]) == 128 * len(curve)
        assert curve[-1]["loss"] < curve[0]["loss"]


def test_every_synthetic_document_carries_the_template_around_its_source(sandbox: Sandbox) -> None:
    run(sandbox, until="generate")
    natural = {
        doc.id: doc.text
        for path in sandbox.out.glob("artifacts/corpus/natural-*/documents/*.parquet")
        for doc in read_documents(path)
    }
    step = load_recipe("hq").steps[0]
    before, after = step.prompt.split("[xxxx]")
    documents = list(read_dataset(Dataset(sandbox.out / "generated" / "hq")))
    assert documents
    asked = {body["messages"][-1]["content"] for body in sandbox.server.received}
    for document in documents:
        assert document.fields["prompt"] == before + natural[document.fields["source_id"]] + after
        assert document.fields["prompt"] in asked
        assert document.fields["generator"]
        assert document.fields["recipe"] == "hq"


def test_a_second_run_makes_nothing_and_asks_nothing(sandbox: Sandbox) -> None:
    run(sandbox)
    asked, before = len(sandbox.server.received), losses(sandbox.out)
    outcome = run(sandbox)
    assert outcome.made == []
    assert len(sandbox.server.received) == asked
    assert losses(sandbox.out) == before


@pytest.mark.parametrize("damage", ["deleted", "cut", "changed"])
def test_one_damaged_part_is_made_again_and_nothing_that_does_not_need_it(
    sandbox: Sandbox, damage: str
) -> None:
    run(sandbox, until="tokens")
    part = sandbox.out / "generated" / "hq" / "documents" / "part-000001.jsonl"
    before = part.read_bytes()
    if damage == "deleted":
        part.unlink()
    else:
        part.write_bytes(before[:-1] + (b"" if damage == "cut" else b" "))
    path = sandbox.write()
    text = path.read_text(encoding="utf-8")
    outcome = run_study(
        text, "study.yaml", sandbox.folder, sandbox.out, until="tokens", verify=True
    )
    # The same answers give the same bytes: what stands on the part stands.
    assert outcome.made == ["generate/hq-00001"]
    assert part.read_bytes() == before


def test_a_changed_temperature_makes_other_blocks_and_leaves_natural_runs_alone(
    sandbox: Sandbox,
) -> None:
    run(sandbox)
    before = losses(sandbox.out)
    sandbox.value["generate"]["sampling"] = {"temperature": 0.3}
    outcome = run(sandbox)
    made = {name.split("-")[0] for name in outcome.made}
    assert "generate/hq" in made
    assert "training/33HQ" in made
    assert not any(name.startswith("training/CC") for name in outcome.made)
    after = losses(sandbox.out)
    assert all(after[name] == before[name] for name in before if name.startswith("CC"))


def test_a_new_budget_only_adds_its_runs(sandbox: Sandbox) -> None:
    run(sandbox)
    before = losses(sandbox.out)
    sandbox.value["ladder"]["budgets"] = [512, 768, 1024, 1536, 2048]
    outcome = run(sandbox)
    trained = [name for name in outcome.made if name.startswith("training/")]
    assert len(trained) == 4
    assert {name: loss for name, loss in losses(sandbox.out).items() if name in before} == before


def test_until_stops_where_it_is_told(sandbox: Sandbox) -> None:
    outcome = run(sandbox, until="tokens")
    assert outcome.page is None
    assert not (sandbox.out / "runs.csv").exists()
    assert not (sandbox.out / "artifacts" / "training").exists()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("natural", {"path": "nowhere.jsonl"}, "natural.0: .*nowhere.jsonl: no such file"),
        ("natural", {"path": "empty.jsonl"}, "natural: no document was read"),
        ("mixtures", {"HQ": {"hqx": 1.0}}, "source 'hqx' does not exist"),
    ],
)
def test_mistakes_are_errors_before_anything_is_asked(
    sandbox: Sandbox, key: str, value: object, said: str
) -> None:
    (sandbox.folder / "empty.jsonl").write_text("")
    sandbox.value[key] = value
    with pytest.raises(UsageError, match=said):
        run(sandbox)
    assert not sandbox.server.received
    assert not list(sandbox.out.glob("artifacts/corpus/*"))


def test_a_recipe_that_does_not_exist_is_named_with_its_key(sandbox: Sandbox) -> None:
    sandbox.value["generate"]["recipes"] = {"hq": {"recipe": "hqq"}}
    with pytest.raises(UsageError, match=r"generate\.recipes\.hq: .*hqq.*expected one of"):
        run(sandbox)


def test_budgets_beyond_the_natural_text_are_refused_before_generation(sandbox: Sandbox) -> None:
    sandbox.value["ladder"]["budgets"] = ["1M"]
    with pytest.raises(UsageError, match=r"ladder\.budgets: .* natural tokens"):
        run(sandbox)
    assert not sandbox.server.received


def test_too_few_source_documents_are_refused_with_what_helps(sandbox: Sandbox) -> None:
    sandbox.value["generate"]["recipes"] = {"hq": {"documents": 1}}
    with pytest.raises(UsageError, match=r"generate\.recipes\.hq: 1 source documents gave"):
        run(sandbox)


def test_repetition_is_used_when_allowed_and_reported(sandbox: Sandbox) -> None:
    sandbox.value["generate"]["recipes"] = {"hq": {"documents": 1}}
    sandbox.value["ladder"]["max_epochs"] = 4
    run(sandbox)
    uses = json.loads((sandbox.out / "mixtures.json").read_text())
    epochs = [s["epochs"] for use in uses for s in use["sources"] if s["source"] == "hq"]
    assert 1 < max(epochs) <= 4


def test_a_server_that_refuses_everything_fails_the_work_and_keeps_what_is_done(
    sandbox: Sandbox,
) -> None:
    sandbox.server.status = 400
    with pytest.raises(SynthlawError, match="refuses every request"):
        run(sandbox)
    assert not list(sandbox.out.glob("generated/hq/runs/*/done/*"))
    sandbox.server.status = 200
    assert run(sandbox).page is not None


COMMAND = "from synthlaw.cli.main import main; main()"


def start(sandbox: Sandbox) -> subprocess.Popen[bytes]:
    arguments = ["run", str(sandbox.write()), "--out", str(sandbox.out)]
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_killed_again_and_again_it_ends_as_if_it_never_was(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    run(sandbox)
    undisturbed = losses(sandbox.out)
    shutil.rmtree(sandbox.out)
    sandbox.server.answered.clear()
    signed: dict[str, int] = {}
    for moment in (2.0, 3.0, 4.5, 6.0, 3.5, 5.0):
        process = start(sandbox)
        time.sleep(moment)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for marker in sandbox.out.glob("artifacts/*/[!.]*/artifact.json"):
            made = signed.setdefault(str(marker), marker.stat().st_mtime_ns)
            assert marker.stat().st_mtime_ns == made, f"{marker} was made again"
    assert start(sandbox).wait() == 0
    for marker, made in signed.items():
        assert Path(marker).stat().st_mtime_ns == made
    assert losses(sandbox.out) == undisturbed
    # Only answers that were in flight when the process died may have been asked for twice.
    assert sum(count > 1 for count in sandbox.server.answered.values()) <= 6 * 16


def test_a_recipe_whose_answers_are_dropped_is_given_up_before_the_corpus_is_spent(
    sandbox: Sandbox,
) -> None:
    write_texts(sandbox.folder / "natural.jsonl", 800, seed=1)
    sandbox.value["generate"]["shard_documents"] = 20
    sandbox.value["generate"]["engine"]["concurrency"] = 16
    sandbox.server.answer = lambda asked: "I am sorry, but I cannot help with that. " * 20
    with pytest.raises(UsageError, match=r"hq: \d+ of \d+ source documents gave 0 tokens.*refusal"):
        run(sandbox)
    documents = sum(
        len(list(read_documents(path)))
        for path in sandbox.out.glob("artifacts/corpus/natural-*/documents/*.parquet")
    )
    assert len(sandbox.server.received) < documents / 2


def test_text_made_elsewhere_is_a_source_like_any_other(sandbox: Sandbox) -> None:
    write_texts(sandbox.folder / "theirs.jsonl", 8, seed=9)
    sandbox.value["generate"]["recipes"] = {}
    sandbox.value["sources"] = {"theirs": {"path": "theirs.jsonl"}}
    sandbox.value["mixtures"]["33HQ"] = {"natural": 0.67, "theirs": 0.33}
    sandbox.value["ladder"]["sizes"] = {"a": {"dim": 16, "layers": 1, "heads": 2}}
    run(sandbox)
    assert not sandbox.server.received
    mixed = [row for row in rows(sandbox.out) if row["mixture"] == "33HQ"]
    assert {(row["synthetic_type"], row["generator"]) for row in mixed} == {("theirs", "")}
    use = json.loads((sandbox.out / "mixtures.json").read_text())
    shares = {s["source"]: s["share_realised"] for u in use for s in u["sources"]}
    assert shares["theirs"] == pytest.approx(0.33, abs=0.02)
    sandbox.value["ladder"]["budgets"] = ["12k"]
    with pytest.raises(UsageError, match="theirs text holds"):
        run(sandbox)


def test_a_failure_of_the_statistics_keeps_neither_laws_nor_page(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a narrow source")

    monkeypatch.setattr(pipeline, "make_statistics", broken)
    with pytest.raises(SynthlawError, match=r"statistics: could not be made \(ZeroDivisionError"):
        run(sandbox)
    assert (sandbox.out / "laws.json").exists()
    assert (sandbox.out / "report" / "index.html").exists()
    assert "make_statistics" in (sandbox.out / "statistics-error.txt").read_text()
    monkeypatch.undo()
    outcome = run(sandbox)
    assert not [name for name in outcome.made if name.startswith(("training", "generate"))]
    assert not (sandbox.out / "statistics-error.txt").exists()
    assert (sandbox.out / "statistics" / "statistics.json").exists()


def test_a_study_does_not_fill_a_folder_of_others(sandbox: Sandbox) -> None:
    sandbox.out.mkdir()
    (sandbox.out / "thesis.tex").write_text("mine")
    with pytest.raises(UsageError, match=r"holds other files \(thesis.tex\)"):
        run(sandbox)
    assert [path.name for path in sandbox.out.iterdir()] == ["thesis.tex"]
