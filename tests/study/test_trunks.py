"""A study whose budgets share trunks: the same losses, for less, and nothing trained twice."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sandbox import Sandbox

from synthlaw.common.errors import UsageError
from synthlaw.study.grid import runs_of, steps_to_take
from synthlaw.study.load import parse_study
from synthlaw.study.pipeline import Outcome, run_study
from synthlaw.study.plan import plan_lines, plan_study

BUDGETS = [1280, 2560, 6400, 12800]


@pytest.fixture
def shared(sandbox: Sandbox) -> Sandbox:
    sandbox.value["ladder"]["budgets"] = BUDGETS[:3]
    sandbox.value["ladder"]["sizes"].pop("b")
    sandbox.value["mixtures"] = {"CC": {"natural": 1.0}}
    sandbox.value["training"] |= {"schedule": "wsd", "warmup": 0.2, "document_masking": True}
    return sandbox


def run(sandbox: Sandbox, **options: str) -> Outcome:
    text = sandbox.write().read_text(encoding="utf-8")
    return run_study(text, "study.yaml", sandbox.folder, sandbox.out, **options)


def losses(sandbox: Sandbox) -> dict[str, str]:
    with (sandbox.out / "runs.csv").open(encoding="utf-8") as stream:
        return {row["run"]: row["loss"] for row in csv.DictReader(stream)}


def made(outcome: Outcome, stage: str) -> list[str]:
    return sorted(name for name in outcome.made if name.startswith(f"{stage}/"))


def test_trunks_save_work_and_change_nothing(shared: Sandbox) -> None:
    outcome = run(shared, until="evaluation")
    # 10, 20 and 50 steps, a fifth of each falls: the trunk is kept where each fall begins.
    wanted = [f"trunk/CC-a-s0-{step}" for step in (16, 40, 8)]
    assert made(outcome, "trunk") == wanted
    together = losses(shared)
    points = pq.read_table(shared.out / "training_curves.parquet").to_pylist()
    curves = [[p["loss"] for p in points if p["run"] == name] for name in together]
    assert sorted(len(curve) for curve in curves) == [10, 20, 50]
    assert len({tuple(curve[:8]) for curve in curves}) == 1  # the trunk's part is in each

    # Another ladder has another trunk, and the same runs.
    shutil.rmtree(shared.out / "artifacts" / "training")
    shutil.rmtree(shared.out / "artifacts" / "trunk")
    shared.value["ladder"]["budgets"] = [BUDGETS[0], BUDGETS[2]]
    assert made(run(shared, until="evaluation"), "trunk") == wanted[1:]
    apart = losses(shared)
    assert apart == {name: together[name] for name in apart}


def test_a_larger_budget_goes_on_from_the_last_state(shared: Sandbox) -> None:
    run(shared, until="evaluation")
    before = losses(shared)
    shared.value["ladder"]["budgets"] = BUDGETS
    shared.value["ladder"]["max_epochs"] = 9
    outcome = run(shared, until="evaluation")
    assert made(outcome, "trunk") == ["trunk/CC-a-s0-80"]
    assert made(outcome, "training") == ["training/CC-a-12.8k-s0"]
    assert {name: loss for name, loss in losses(shared).items() if name in before} == before
    again = run(shared, until="evaluation")
    assert not again.made


def wsd(**changes: Any) -> str:
    training = {"context": 32, "batch_tokens": 128, "schedule": "wsd", **changes}
    return (
        "natural: {path: text}\nmixtures: {CC: {natural: 1.0}, B: {natural: 1.0}}\n"
        "ladder: {sizes: [0.1M], budgets: [12800, 25600, 64000, 128000], seeds: [0, 1]}\n"
        f"training: {training}\n"
    )


def test_the_plan_says_what_a_trunk_saves() -> None:
    study = parse_study(wsd(), "s")
    training = plan_study(study, Path())["training"]
    # Separate: 100 + 200 + 500 + 1000 steps. Shared: a trunk of 800 and falls of 20 to 200.
    steps = 2 * 2 * (800 + 20 + 40 + 100 + 200)
    assert training["tokens"] == steps * 128
    runs = runs_of(study, 4096)
    assert sum(steps_to_take(runs).values()) == steps
    whole = training["flops"] + training["flops_saved"]
    assert whole == pytest.approx(sum(run.config.flops for run in runs))
    assert training["flops_saved"] / whole == pytest.approx(1 - 1160 / 1800)
    assert "(36% of separate runs)" in "\n".join(plan_lines(plan_study(study, Path())))
    cosine = parse_study(wsd(schedule="cosine"), "s")
    assert plan_study(cosine, Path())["training"]["flops_saved"] == 0
    assert "separate runs" not in "\n".join(plan_lines(plan_study(cosine, Path())))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"warmup": 0.5, "cooldown": 0.6}, "expected at most 1 together"),
        ({"schedule": "cosine", "cooldown": 0.2}, "belongs to schedule 'wsd'"),
        ({"schedule": "linear"}, "schedule"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_study(wsd(**changes), "s")
