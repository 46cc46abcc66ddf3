"""The demo's study files, and what is said of its time before it begins."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from sandbox import Sandbox

from synthlaw.common.errors import SynthlawError
from synthlaw.study import demo
from synthlaw.study.demo import demo_text, time_lines
from synthlaw.study.forecast import Pace, Speeds, forecast, measure_speeds, measured_rates
from synthlaw.study.load import parse_study
from synthlaw.study.pipeline import run_study
from synthlaw.study.plan import plan_study
from synthlaw.study.spec import Study
from synthlaw.training.precision import PrecisionRecord

SIZES = ("0.1M", "0.3M", "0.8M")
FAST = Speeds({"engine": Pace(1e-4, 3e-3)}, dict.fromkeys(SIZES, 0.02), dict.fromkeys(SIZES, 4e-5))
SLOW = Speeds({"engine": Pace(1e-3, 3e-2)}, dict.fromkeys(SIZES, 0.2), dict.fromkeys(SIZES, 4e-4))


def study(quick: bool = False) -> Study:
    return parse_study(demo_text(quick), "the demo")


def test_the_demo_keeps_its_meaning() -> None:
    whole, quick = study(), study(quick=True)
    assert len(whole.mixtures) == 5 and len(whole.ladder.sizes) == 3
    assert len(whole.ladder.budgets) >= 5  # three coefficients, and one budget held out
    assert len(quick.ladder.budgets) >= 5 and len(quick.ladder.sizes) == 2
    assert (
        whole.evaluation.domains.keys()
        == quick.evaluation.domains.keys()
        == {
            "news",
            "addresses",
        }
    )
    assert set(quick.generate.recipes) == {"hq"}
    assert quick.generate.sampling == whole.generate.sampling
    # On machines with bf16 and without the same runs are trained.
    assert whole.training.dtype == quick.training.dtype == "fp32"


def test_the_quick_demo_is_a_third_of_the_work_at_most() -> None:
    whole, quick = (plan_study(study(quick), Path()) for quick in (False, True))
    assert quick["training"]["flops"] < whole["training"]["flops"] / 3
    assert sum(quick["tokens_to_generate"].values()) < sum(whole["tokens_to_generate"].values()) / 3
    assert quick["runs"] <= whole["runs"] / 3


@pytest.mark.parametrize("part", ["read", "written"])
def test_generation_takes_what_a_token_takes(part: str) -> None:
    before = forecast(study(), FAST)
    pace = FAST.generators["engine"]

    def with_pace(**changed: float) -> Speeds:
        return replace(FAST, generators={"engine": replace(pace, **changed)})

    after = forecast(study(), with_pace(**{part: 3 * getattr(pace, part)}))
    assert after.generation > before.generation
    assert (after.training, after.scoring) == (before.training, before.scoring)
    both = with_pace(read=2 * pace.read, written=2 * pace.written)
    assert forecast(study(), both).generation == pytest.approx(2 * before.generation)


def test_workers_share_training_and_scoring() -> None:
    def with_workers(count: int) -> Study:
        found = study()
        execution = found.execution.model_copy(update={"workers": count})
        return found.model_copy(update={"execution": execution})

    one, two = (forecast(with_workers(count), FAST) for count in (1, 2))
    assert one.training == pytest.approx(2 * two.training)
    assert one.scoring == pytest.approx(2 * two.scoring)
    assert one.generation == two.generation
    steps = sum(round(budget / 256) for budget in study().ladder.budgets)
    assert one.training == pytest.approx(15 * steps * 0.02)


@pytest.mark.parametrize(("speeds", "offered"), [(FAST, False), (SLOW, True)])
def test_less_is_offered_where_the_machine_is_slow(
    speeds: Speeds, offered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "measure_speeds", lambda text: speeds)
    monkeypatch.setattr("synthlaw.execute.machine.usable_cores", lambda: 2)
    said = " ".join(time_lines())
    assert "this will take about" in said
    assert ("demo --quick" in said) == offered
    assert "demo --quick" not in " ".join(time_lines(quick=True))


def test_a_speed_that_cannot_be_measured_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(text: str) -> Speeds:
        raise SynthlawError("no generator")

    monkeypatch.setattr(demo, "measure_speeds", fails)
    assert time_lines() == ["no generator; how long this will take is not known"]


@pytest.mark.slow
def test_speeds_are_measured_with_the_study_s_own_engine(sandbox: Sandbox) -> None:
    text = sandbox.write().read_text(encoding="utf-8")
    speeds = measure_speeds(text)
    assert speeds.step.keys() == speeds.scored.keys() == {"a", "b"}
    pace = speeds.generators["engine"]
    every = [pace.read, pace.written, *speeds.step.values(), *speeds.scored.values()]
    assert all(0 < seconds < 60 for seconds in every)
    assert sandbox.server.received
    found = forecast(parse_study(text, "study.yaml"), speeds)
    assert found.total > found.other
    rates = measured_rates(parse_study(text, "study.yaml"), speeds)
    assert rates["completion_tokens_per_second"]["engine"] == pytest.approx(1 / pace.answered)
    assert 1e5 < rates["flops_per_second"] < 1e13


@pytest.mark.isa
@pytest.mark.slow
@pytest.mark.network
def test_a_tiny_demo_from_text_to_page(tmp_path: Path) -> None:
    """The demo's own text and generator, a handful of runs."""
    value = yaml.safe_load(demo_text(quick=True))
    value["mixtures"] = {"CC": {"natural": 1.0}, "33HQ": {"natural": 0.67, "hq": 0.33}}
    value["ladder"] |= {"sizes": ["0.1M"], "budgets": [512, 768, 1024]}
    value["evaluation"] = {"documents": 8, "max_tokens": 64}
    value["training"] |= {"dtype": "auto"}
    value["laws"]["bootstrap"] = 20
    outcome = run_study(yaml.safe_dump(value), "tiny demo", tmp_path, tmp_path / "out")
    assert outcome.page is not None and outcome.page.exists()
    with (tmp_path / "out" / "runs.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 6
    settled = PrecisionRecord.read(tmp_path / "out")
    assert settled is not None and settled.asked == "auto"
    if os.environ.get("ONEDNN_MAX_CPU_ISA") == "AVX2":
        assert settled.dtype == "fp32"


def test_an_engine_that_is_not_there_is_named(sandbox: Sandbox) -> None:
    sandbox.value["generate"]["engine"] = {"kind": "embedded", "model": "nowhere.gguf"}
    with pytest.raises(SynthlawError, match=r"nowhere\.gguf"):
        measure_speeds(sandbox.write().read_text(encoding="utf-8"))
