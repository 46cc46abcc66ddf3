"""Studies of several grids: which runs there are, each trained once; what is told of mistakes."""

from __future__ import annotations

import csv
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sandbox import Sandbox

import synthlaw as sl
from synthlaw.common.errors import UsageError
from synthlaw.study.grid import runs_of, steps_to_take
from synthlaw.study.load import parse_study
from synthlaw.study.spec import Study

BASE: dict[str, Any] = {
    "natural": {"path": "text"},
    "generate": {"recipes": ["hq", "qa"]},
    "mixtures": {"CC": {"natural": 1.0}, "33HQ": {"natural": 0.67, "hq": 0.33}},
    "training": {"context": 64, "batch_tokens": 1024},
}
GRIDS = {
    "data": {"sizes": ["0.8M"], "budgets": ["10k", "20k", "40k", "80k"]},
    "model": {"sizes": ["0.1M", "0.3M", "0.8M"], "budgets": ["40k"]},
    "shares": {
        "mixtures": {"type": ["hq", "qa"], "of": [0, 0.05, 0.33, 1]},
        "sizes": ["0.1M"],
        "budgets": ["10k", "40k"],
    },
}


def parsed(**changes: Any) -> Study:
    return parse_study(yaml.safe_dump({**BASE, **changes}, sort_keys=False), "s.yaml")


def test_a_run_of_two_grids_is_one_run() -> None:
    study = parsed(grids=GRIDS)
    assert list(study.mixtures) == ["CC", "33HQ", "5HQ", "HQ", "5QA", "33QA", "QA"]
    runs = {run.name: run for run in runs_of(study, 512)}
    # 2 x 4, 2 x 3 and 7 x 2, of which 0.8M at 40k and 0.1M at 40k are in two for both mixtures.
    assert len(runs) == 8 + 6 + 14 - 2 - 2
    assert runs["CC-0.8M-40k-s0"].grids == ("data", "model")
    assert runs["33HQ-0.1M-40k-s0"].grids == ("model", "shares")
    assert runs["5QA-0.1M-10k-s0"].grids == ("shares",)
    assert study.mixtures["5QA"] == {"natural": 0.95, "qa": 0.05}


def test_the_ladder_is_the_one_grid_where_there_is_no_other() -> None:
    ladder = {"sizes": ["0.1M", "0.3M"], "budgets": ["10k", "20k"], "seeds": [0, 1]}
    alone = runs_of(parsed(ladder=ladder), 512)
    assert len(alone) == 2 * 2 * 2 * 2
    assert {run.grids for run in alone} == {("ladder",)}
    named = runs_of(parsed(ladder=ladder, grids={"all": {}}), 512)
    assert [run.name for run in named] == [run.name for run in alone]
    assert [run.config for run in named] == [run.config for run in alone]


def test_grids_share_trunks() -> None:
    training = {**BASE["training"], "schedule": "wsd"}
    study = parsed(grids=GRIDS, training=training)
    runs = runs_of(study, 512)
    taken = steps_to_take(runs)
    assert len({run.config.warmup_steps for run in runs}) == 1
    ladder = [run for run in runs if run.trunk == "CC-0.8M-s0"]
    assert sum(taken[run.name] for run in ladder) < sum(run.config.steps for run in ladder)


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c"]),
        st.fixed_dictionaries(
            {},
            optional={
                "mixtures": st.lists(st.sampled_from(["CC", "33HQ"]), min_size=1, unique=True),
                "sizes": st.lists(st.sampled_from(["0.1M", "0.3M"]), min_size=1, unique=True),
                "budgets": st.lists(st.sampled_from(["10k", "30k"]), min_size=1, unique=True),
                "seeds": st.lists(st.integers(0, 2), min_size=1, unique=True),
            },
        ),
        min_size=1,
    )
)
def test_runs_are_the_union_of_products(grids: dict[str, dict[str, list[Any]]]) -> None:
    ladder: dict[str, list[Any]] = {"sizes": ["0.3M", "0.8M"], "budgets": ["20k"], "seeds": [0]}
    whole = {**ladder, "mixtures": ["CC", "33HQ"]}
    expected = {
        f"{m}-{z}-{b}-s{s}"
        for grid in grids.values()
        for parts in [{**whole, **grid}]
        for m in parts["mixtures"]
        for z in parts["sizes"]
        for b in parts["budgets"]
        for s in parts["seeds"]
    }
    found = [run.name for run in runs_of(parsed(ladder=ladder, grids=grids), 512)]
    assert len(found) == len(set(found))
    assert set(found) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grids": {"data": {"budgets": ["10k"]}}}, r"grids\.data\.sizes: found none; expected"),
        ({"grids": {"data": {"sizes": ["0.1M"]}}}, r"grids\.data\.budgets: found none"),
        ({}, r"ladder\.sizes: found none"),
        (
            {"grids": {"d": {"sizes": ["9Q"], "budgets": ["10k"]}}},
            r"grids\.d\.sizes: found '9Q'; expected one of .*0\.1M",
        ),
        (
            {"grids": {"d": {"sizes": ["0.1M"], "budgets": ["10k"], "mixtures": ["HQ"]}}},
            r"grids\.d\.mixtures: found 'HQ'; expected one of CC, 33HQ",
        ),
        (
            {"grids": {"d": {"sizes": ["0.1M"], "mixtures": {"type": "hx", "of": [0.1]},
                             "budgets": ["10k"]}}},
            r"mixtures\.10HX: source 'hx' does not exist; expected one of natural, hq, qa",
        ),
        (
            {"grids": {"d": {"sizes": ["0.1M"], "mixtures": {"type": "hq", "of": [1.2]}}}},
            r"of: found \[1\.2\]; expected distinct shares",
        ),
        ({"grids": {"d": {"sises": ["0.1M"]}}}, r"grids\.d\.sises: unknown key; did you mean"),
        (
            {"grids": {"a": {"sizes": ["0.1M"], "budgets": [10240, 10300]}}},
            "expected budgets that differ by a step",
        ),
    ],
)  # fmt: skip
def test_mistakes_name_the_grid_and_what_would_be_right(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        parsed(**changes)


def test_plan_counts_by_grid(sandbox: Sandbox) -> None:
    study = sl.Study(**{**BASE, "grids": GRIDS}, out=sandbox.out)
    plan = study.plan()
    assert plan["runs"] == 24
    assert [(g["grid"], g["runs"], g["shared"]) for g in plan["grids"]] == [
        ("data", 8, 0),
        ("model", 6, 2),
        ("shares", 14, 2),
    ]
    assert "24 in 3 grids" in str(plan)


@pytest.mark.slow
def test_a_study_of_two_grids_runs_to_its_page(sandbox: Sandbox) -> None:
    value = {k: v for k, v in sandbox.value.items() if k != "ladder"}
    value["ladder"] = {"sizes": sandbox.value["ladder"]["sizes"]}
    grids = {
        "data": {"sizes": ["b"], "budgets": [512, 1024, 1536, 2048]},
        "model": {"budgets": [1024], "mixtures": ["CC"]},
    }
    study = sl.Study(**value, grids=grids, base=sandbox.folder, out=sandbox.out).run()
    with (sandbox.out / "runs.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 9
    assert {row["run"]: row["grid"] for row in rows}["CC-b-1.02k-s0"] == "data+model"
    assert study.page.is_file()
    assert study.answer().options
    assert "9 of 9 done" in str(study.status())
