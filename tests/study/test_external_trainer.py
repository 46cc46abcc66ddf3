"""Studies whose runs another trainer makes: Hugging Face's Trainer, and commands that fail."""

from __future__ import annotations

import csv
import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from sandbox import Sandbox

import synthlaw as sl
from synthlaw.study.run.external import RUN_FILE

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "transformers_trainer.py"


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "runs.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def study(sandbox: Sandbox, command: Any, **more: Any) -> sl.Study:
    """Two mixtures at one size and three budgets, by `command`."""
    value = {**sandbox.value, "trainer": {"command": command}, **more}
    value["ladder"] = {"sizes": {"b": {"dim": 32, "layers": 1, "heads": 2}}}
    value["ladder"]["budgets"] = [512, 1024, 2048]
    return sl.Study(**value, base=sandbox.folder, out=sandbox.out)


def script(folder: Path, body: str) -> list[str]:
    """A command that runs `body` with `folder` (the run's), `run` (run.json) and `json` at hand."""
    path = folder / "train.py"
    head = "import json, sys, os, time\nfrom pathlib import Path\nfolder = Path(sys.argv[1])\n"
    head += f"run = json.loads((folder / '{RUN_FILE}').read_text())\n"
    path.write_text(head + textwrap.dedent(body), encoding="utf-8")
    return [sys.executable, str(path)]


GOOD = """
loss = {name: 5.0 + 100 / run["training"]["tokens"] for name in run["domains"]}
(folder / "result.json").write_text(json.dumps({"loss": loss, "seconds": 1.5}))
"""


@pytest.mark.slow
def test_hugging_faces_trainer_makes_the_runs(sandbox: Sandbox) -> None:
    pytest.importorskip("accelerate")
    theirs = study(sandbox, f"{sys.executable} {EXAMPLE}").run()
    found = rows_of(sandbox.out)
    assert len(found) == 6
    ours = sl.Study(
        **{**sandbox.value, "ladder": theirs.spec.ladder.model_dump(mode="json")},
        base=sandbox.folder,
        out=sandbox.folder / "ours",
    ).run()
    assert theirs.page.is_file()
    # The same data, shape and schedule: losses of the same kind, from other first weights.
    for mine, row in zip(rows_of(ours.folder), found, strict=True):
        assert (mine["run"], mine["tokens"], mine["params"]) == (
            row["run"],
            row["tokens"],
            row["params"],
        )
        assert float(row["loss"]) == pytest.approx(float(mine["loss"]), rel=0.1)
        assert row["status"] == "done"


def test_losses_may_be_given_without_a_model(sandbox: Sandbox) -> None:
    made = study(sandbox, script(sandbox.folder, GOOD)).run()
    for row in rows_of(sandbox.out):
        assert float(row["loss/other"]) == pytest.approx(5.0 + 100 / int(row["tokens"]))
    assert made.page.is_file()
    left = list((sandbox.out / "artifacts" / "training").glob("*/run/*"))
    assert {path.name for path in left} == {"run.json", "result.json", "trainer.log"}
    made.run()  # nothing is trained again
    (sandbox.folder / "train.py").unlink()
    made.run()


def test_the_run_is_described_and_its_mixture_is_exact(sandbox: Sandbox) -> None:
    keep = f"""
    import shutil
    target = Path({str(sandbox.folder)!r}) / "kept" / run["name"]
    shutil.copytree(folder, target, dirs_exist_ok=True)
    """
    study(sandbox, script(sandbox.folder, textwrap.dedent(keep) + GOOD)).run(until="training")
    kept = sorted((sandbox.folder / "kept").iterdir())
    assert len(kept) == 6
    run = json.loads((kept[0] / RUN_FILE).read_text())
    assert run["training"]["tokens"] == run["data"]["tokens"]
    assert run["model"]["dim"] == 32
    assert sum(use["share_realised"] for use in run["data"]["sources"]) == pytest.approx(1)
    assert (kept[0] / "data" / "mixture.idx").is_file()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit('cuda: out of memory')", r"ended with status 1: cuda: out of memory \(see "),
        ("pass", r"left no .*result\.json; expected"),
        ("(folder / 'result.json').write_text('{')", "found no JSON"),
        ("(folder / 'result.json').write_text('[' * 100000)", "found no JSON"),
        ("(folder / 'result.json').write_text('[]')", "found list; expected"),
        (
            '(folder / \'result.json\').write_text(\'{"loss": {"other": NaN, "natural": 3}}\')',
            r"loss\.other: found nan; expected nats per token",
        ),
        (
            "(folder / 'result.json').write_text('{\"loss\": {\"other\": 3}}')",
            "expected a number for each of natural, other",
        ),
        (
            "(folder / 'result.json').write_text('{\"checkpoint\": \"model\"}')",
            "checkpoint: found no folder",
        ),
        ("(folder / 'result.json').write_text('{\"status\": \"ok\"}')", "status: found 'ok'"),
    ],
)
def test_a_trainer_that_fails_is_told_in_a_line_and_tried_again(
    sandbox: Sandbox, body: str, message: str
) -> None:
    small = {"mixtures": {"CC": {"natural": 1.0}}}
    broken = study(sandbox, script(sandbox.folder, body), **small)
    with pytest.raises(sl.SynthlawError, match=message):
        broken.run(until="training")
    script(sandbox.folder, GOOD)
    broken.run(until="training")
    assert len(rows_of(sandbox.out)) == 3


def test_a_killed_trainer_finds_what_it_left(sandbox: Sandbox) -> None:
    body = """
    state = folder / "state"
    if not state.exists():
        state.write_text("step 7")
        os.kill(os.getpid(), 9)
    assert state.read_text() == "step 7"
    """
    command = script(sandbox.folder, textwrap.dedent(body) + GOOD)
    killed = study(sandbox, command, mixtures={"CC": {"natural": 1.0}})
    with pytest.raises(sl.SynthlawError, match="ended by signal 9"):
        killed.run(until="training")
    killed.run(until="training")
    assert len(rows_of(sandbox.out)) == 3


def test_a_diverged_run_is_kept_out_of_fits(sandbox: Sandbox) -> None:
    body = """
    bad = run["training"]["tokens"] == 512
    loss = {name: 5.0 for name in run["domains"]}
    value = {"status": "diverged"} if bad else {"loss": loss}
    (folder / "result.json").write_text(json.dumps(value))
    """
    study(sandbox, script(sandbox.folder, body)).run(until="training")
    states = {(row["tokens"], row["status"]) for row in rows_of(sandbox.out)}
    assert states == {("512", "diverged"), ("1024", "done"), ("2048", "done")}


def test_mistakes_are_told_before_any_work(sandbox: Sandbox) -> None:
    with pytest.raises(sl.UsageError, match=r"trainer\.format: .*expected one of jsonl, megatron"):
        sl.Study(**sandbox.value, trainer={"command": "x", "format": "nemo"})
    with pytest.raises(sl.UsageError, match="only our own trainer grows"):
        training = {**sandbox.value["training"], "schedule": "wsd"}
        sl.Study(**{**sandbox.value, "training": training}, trainer={"command": "x"})
    with pytest.raises(sl.UsageError, match=r"trainer\.command: found no program 'no-such'"):
        study(sandbox, "no-such --flag").run()
    assert not (sandbox.out / "artifacts").exists()
