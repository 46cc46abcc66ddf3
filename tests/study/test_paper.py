"""The paper's own study as shipped: its runs counted by hand, its plan, its sibling for a CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from synthlaw.cli.study import init, plan
from synthlaw.study.grid import runs_of
from synthlaw.study.load import parse_study
from synthlaw.study.paper import ALL, GRIDS, paper_text

# Mixtures x sizes x budgets of each grid, and what an earlier one has already:
# data and model meet at 1B and 50B tokens; the joint one holds 1B up to 50B of data and all of
# model; the shares 0 and 1 of the ratio grid are four of the ten mixtures.
# Natural text alone at 1B and 5B tokens is in the data ladder, and so not the generators' own.
COUNTS = {
    "data": 10 * 1 * 12,
    "model": 10 * 6 * 1,
    "joint": 10 * 6 * 10,
    "ratio": 28 * 3 * 5,
    "generators": 3 * 2 * 7 + 1,
}
SHARED = {
    "data": 0,
    "model": 10,
    "joint": 10 * 10 + 10 * 6 - 10,
    "ratio": 4 * 3 * 5,
    "generators": 1,
}


@pytest.mark.parametrize("cpu", [False, True])
@pytest.mark.parametrize("grid", [*GRIDS, ALL])
def test_every_paper_study_is_valid_and_holds_what_is_asked(grid: str, cpu: bool) -> None:
    study = parse_study(paper_text(grid, cpu=cpu), "paper")
    names = [one.name for one in study.all_grids()]
    assert names == (list(GRIDS) if grid == ALL else [grid])
    assert study.baseline_name() == "CC"
    assert len(study.mixtures) >= 10
    several = grid in ("generators", ALL)
    assert (len(study.generate.used_generators) > 1) == several == bool(study.generate.generators)


@pytest.mark.parametrize("grid", GRIDS)
def test_runs_of_a_grid_are_those_counted_by_hand(grid: str) -> None:
    assert len(runs_of(parse_study(paper_text(grid), "paper"), 128_256)) == COUNTS[grid]


def test_the_plan_of_all_is_the_hand_count(tmp_path: Path) -> None:
    file = tmp_path / "paper.yaml"
    assert CliRunner().invoke(init, ["--paper", "all", str(file)]).exit_code == 0
    done = CliRunner().invoke(plan, [str(file), "--price", "2", "--json"], catch_exceptions=False)
    made = json.loads(done.stdout)
    assert {g["grid"]: g["runs"] for g in made["grids"]} == COUNTS
    assert {g["grid"]: g["shared"] for g in made["grids"]} == SHARED
    assert made["runs"] == sum(COUNTS.values()) - sum(SHARED.values()) == 1022
    hardware = made["hardware"]
    assert hardware["gpu"] == "a100"
    # 6 FLOP per parameter and token are a lower bound, and attention and head are under half of it.
    assert hardware["hours"]["training"] == pytest.approx(
        made["training"]["flops"] / (312e12 * 0.4) / 3600
    )
    assert sum(hardware["hours_by_grid"].values()) == pytest.approx(hardware["hours"]["training"])
    assert hardware["days"] == pytest.approx(hardware["hours"]["total"] / 512 / 24)
    assert hardware["money"]["training"] == pytest.approx(2 * hardware["hours"]["training"])
    assert hardware["memory_fits"]


def test_prices_and_speeds_of_generation_count(tmp_path: Path) -> None:
    file = tmp_path / "paper.yaml"
    text = paper_text("data").replace(
        "plan: {gpu: a100,",
        "plan: {generator: {tokens_per_second: 5000, price: 0.2}, price: 1.5, gpu: h100,",
    )
    file.write_text(text)
    done = CliRunner().invoke(plan, [str(file), "--json"], catch_exceptions=False)
    made = json.loads(done.stdout)
    written = sum(one["completion_tokens"] for one in made["generation"].values())
    hardware = made["hardware"]
    assert hardware["hours"]["generation"] == pytest.approx(written / 5000 / 3600)
    assert hardware["money"]["generation"] == pytest.approx(written / 1e6 * 0.2)
    shown = CliRunner().invoke(plan, [str(file)], catch_exceptions=False).stdout
    assert "GPU-hours" in shown
    assert "days " in shown


def test_a_gpu_that_is_not_known_is_told(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(paper_text("data"))
    done = CliRunner().invoke(plan, [str(file), "--gpu", "h900"])
    assert "--gpu: found 'h900'; expected one of a100, h100" in str(done.exception)
