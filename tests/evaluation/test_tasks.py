"""Downstream tasks and rolling scores through lm-eval itself, on local data."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tiny_texts import LINES

from synthlaw.cli.main import cli
from synthlaw.common.errors import MissingExtraError, SynthlawError, UsageError
from synthlaw.evaluation.tasks import TaskSettings, check_tasks, run_tasks, task_columns

PAGES = [LINES[0] * 3 + LINES[2], "\n" + LINES[1] * 4, LINES[2] + "\n"]

ROLLING = """\
include: {wikitext}
task: tiny_wikitext
dataset_path: json
dataset_name: null
dataset_kwargs:
  data_files: {{test: {folder}/pages.jsonl}}
training_split: null
validation_split: null
"""

CHOICE = """\
task: tiny_choice
dataset_path: json
dataset_kwargs:
  data_files: {{test: {folder}/questions.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: ["river", "bridge"]
doc_to_target: "{{{{answer}}}}"
metric_list:
  - metric: acc
"""


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Two tasks of the harness over local files; its caches stay in the test's folder."""
    import lm_eval

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    wikitext = Path(lm_eval.__file__).parent / "tasks" / "wikitext" / "wikitext.yaml"
    folder = tmp_path / "tasks"
    folder.mkdir()
    write(folder / "pages.jsonl", [{"page": page} for page in PAGES])
    questions = [{"question": LINES[n % 3], "answer": n % 2} for n in range(8)]
    write(folder / "questions.jsonl", questions)
    files = {}
    for name, text in (("rolling", ROLLING), ("choice", CHOICE)):
        path = folder / f"{name}.yaml"
        path.write_text(text.format(wikitext=wikitext, folder=folder))
        files[name] = str(path)
    return files


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def evaluate(*words: object) -> Any:
    call = ["evaluate", *map(str, words), "--dtype", "fp32", "--json"]
    result = CliRunner().invoke(cli, call, catch_exceptions=False, standalone_mode=False)
    return json.loads(result.stdout)


def test_rolling_scores_are_the_harness_own(
    exported: Path, tasks: dict[str, str], tmp_path: Path
) -> None:
    """Words, bytes, detokenizer and windows of its task 'wikitext', documents of many windows."""
    path = tmp_path / "wiki.jsonl"
    write(path, [{"text": page} for page in PAGES])
    found = evaluate(
        "--model", exported, "--domain", f"wikitext103={path}", "--convention", "lm-eval",
        "--task", tasks["rolling"], "--out", tmp_path / "out",
    )  # fmt: skip
    ours = {row["metric"]: row["value"] for row in found["figures"]}
    theirs = {row["metric"]: row["value"] for row in found["tasks"]}
    assert set(theirs) == {"word_perplexity", "byte_perplexity", "bits_per_byte"}
    for metric, value in theirs.items():
        assert ours[metric] == pytest.approx(value, rel=1e-5), metric


def test_a_task_is_answered_once(exported: Path, tasks: dict[str, str], tmp_path: Path) -> None:
    call = ["--model", exported, "--task", tasks["choice"], "--out", tmp_path / "out"]
    (row,) = evaluate(*call, "--task-limit", 6)["tasks"]
    assert (row["task"], row["metric"], row["documents"]) == ("tiny_choice", "acc", 6)
    assert 0 <= row["value"] <= 1
    assert row["higher_is_better"] is True
    assert task_columns([row]) == {"task/tiny_choice/acc": row["value"]}
    before = (tmp_path / "out" / "tasks.json").stat().st_ino
    evaluate(*call, "--task-limit", 6)
    assert (tmp_path / "out" / "tasks.json").stat().st_ino == before
    assert evaluate(*call)["tasks"][0]["documents"] == 8


def test_mistakes_are_named(
    exported: Path, tasks: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"'hellaswagg': .* did you mean .*hellaswag"):
        check_tasks(TaskSettings(("hellaswagg",)))
    with pytest.raises(UsageError, match=r"absent\.yaml: cannot be read"):
        check_tasks(TaskSettings((str(tmp_path / "absent.yaml"),)))
    (tmp_path / "empty.yaml").write_text("group: x\n")
    with pytest.raises(UsageError, match="found no line 'task: NAME'"):
        check_tasks(TaskSettings((str(tmp_path / "empty.yaml"),)))
    (Path(tasks["choice"]).parent / "questions.jsonl").unlink()
    with pytest.raises(SynthlawError, match="tasks tiny_choice: the harness failed"):
        run_tasks(exported, TaskSettings((tasks["choice"],)), quiet=True)
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'synthlaw\[tasks\]'"):
        check_tasks(TaskSettings(("piqa",)))
