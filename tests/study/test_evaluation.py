"""A study's evaluation: downstream tasks in the runs table, kept losses, a Pile file's domains."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from sandbox import Sandbox, prose

from synthlaw.common.errors import UsageError
from synthlaw.evaluation.token_losses import TokenLosses
from synthlaw.study.pipeline import run_study

TASK = """\
task: rivers
dataset_path: json
dataset_kwargs:
  data_files: {{test: {folder}/questions.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: ["river", "stone"]
doc_to_target: "{{{{answer}}}}"
metric_list:
  - metric: acc
"""


def test_tasks_losses_and_pile_domains(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(sandbox.folder / "cache"))
    folder, value = sandbox.folder, sandbox.value
    questions = [{"question": "the bridge over the", "answer": n % 2} for n in range(4)]
    (folder / "questions.jsonl").write_text("".join(json.dumps(q) + "\n" for q in questions))
    (folder / "rivers.yaml").write_text(TASK.format(folder=folder))
    rng = np.random.default_rng(3)
    rows = [
        {"text": prose(rng), "meta": {"pile_set_name": ("ArXiv", "Github")[n % 2]}}
        for n in range(6)
    ]
    (folder / "pile").mkdir()
    (folder / "pile" / "mixed.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    other = json.dumps({"text": prose(rng)})
    (folder / "pile" / "freelaw.jsonl").write_text(other + "\n")
    value["mixtures"] = {"CC": {"natural": 1.0}}
    value["generate"] = {}
    value["ladder"] = {"sizes": {"a": value["ladder"]["sizes"]["a"]}, "budgets": [512]}
    value["execution"] = {"workers": 1}
    value["evaluation"] = {
        "domains": {"arxiv": {"path": "pile"}},
        "tasks": ["rivers.yaml"],
    }
    text = sandbox.write().read_text()

    def run() -> list[str]:
        return run_study(text, "study.yaml", folder, sandbox.out, until="evaluation").made

    made = run()
    (run_name,) = {name.removeprefix("training/") for name in made if name.startswith("training/")}
    assert f"evaluation/tasks-{run_name}" in made
    with (sandbox.out / "runs.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert 0 <= float(row["task/rivers/acc"]) <= 1
    (place,) = (sandbox.out / "artifacts" / "evaluation").glob(f"{run_name}-*/token-losses/arxiv")
    kept = TokenLosses(place)
    assert len(kept) == 3  # the Pile's other set and FreeLaw's file are left out
    total = float(kept.losses.sum(dtype=np.float64))
    assert total / kept.manifest.scored == pytest.approx(float(row["loss/arxiv"]), rel=1e-5)
    assert run() == []
    (folder / "rivers.yaml").write_text(TASK.format(folder=folder) + "num_fewshot: 1\n")
    assert run() == [f"evaluation/tasks-{run_name}"]


def test_an_unknown_task_stops_the_study_before_anything_is_made(sandbox: Sandbox) -> None:
    sandbox.value["evaluation"]["tasks"] = ["absent.yaml"]
    with pytest.raises(UsageError, match=r"study\.yaml: .*absent\.yaml: cannot be read"):
        run_study(sandbox.write().read_text(), "study.yaml", sandbox.folder, sandbox.out)
    assert not (sandbox.out / "artifacts").exists()
