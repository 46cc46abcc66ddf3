"""Plans at speeds that are measured now."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from sandbox import Sandbox

from synthlaw.cli.main import cli
from synthlaw.common.errors import UsageError
from synthlaw.study import measuring
from synthlaw.study.forecast import Pace, Speeds
from synthlaw.study.pipeline import run_study

PACE = Pace(read=0.001, written=0.01)


@pytest.fixture
def measured(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A machine on which only the smaller size could be measured."""

    def speeds(text: str, base: Path) -> Speeds:
        assert base == sandbox.folder and "tiny" in text
        return Speeds({"engine": PACE}, {"a": 0.5}, {"a": 0.001})

    monkeypatch.setattr(measuring, "measure_speeds", speeds)
    return sandbox


def test_a_plan_is_made_at_what_was_measured(measured: Sandbox) -> None:
    told = CliRunner().invoke(cli, ["plan", str(measured.write()), "--measure", "--json"])
    assert told.exit_code == 0, told.output
    plan = json.loads(told.stdout)
    assert plan["speeds"]["measured"] == ["completion_tokens_per_second", "flops_per_second"]
    written = plan["generation"]["hq"]["completion_tokens"]
    assert plan["generation_seconds"] == pytest.approx(written * PACE.answered)
    of_a = next(size for size in plan["sizes"] if size["size"] == "a")
    # A step of 128 tokens in half a second.
    assert plan["speeds"]["flops_per_second"] == pytest.approx(
        128 * 6 * of_a["params_total"] / 0.5, rel=0.6
    )
    assert "not measured: b" in told.stderr
    shown = CliRunner().invoke(cli, ["plan", str(measured.write()), "--measure"])
    assert "measured now, on this machine" in shown.output


def test_a_study_folder_keeps_what_was_measured(measured: Sandbox) -> None:
    asked = ["plan", str(measured.write()), "--measure", "--out", str(measured.out)]
    with pytest.raises(UsageError, match=r"holds no study\.yaml"):
        CliRunner().invoke(cli, asked, catch_exceptions=False)
    measured.out.mkdir()
    (measured.out / "study.yaml").write_text(measured.write().read_text())
    assert CliRunner().invoke(cli, asked).exit_code == 0
    later = CliRunner().invoke(cli, [*asked[:2], "--out", str(measured.out), "--json"])
    speeds = json.loads(later.stdout)["speeds"]
    assert speeds["completion_tokens_per_second"]["engine"] == pytest.approx(1 / PACE.answered)
    assert speeds["where"] == "in this folder"


def test_a_plan_says_what_is_at_hand(sandbox: Sandbox) -> None:
    run_study(
        sandbox.write().read_text(), "study.yaml", sandbox.folder, sandbox.out, until="tokens"
    )
    asked = ["plan", str(sandbox.write()), "--out", str(sandbox.out)]
    rows = json.loads(CliRunner().invoke(cli, [*asked, "--json"]).stdout)["supply"]
    by_source = {row["source"]: row for row in rows}
    assert set(by_source) == {"natural", "hq"}
    assert all(row["at_hand"] >= row["needed"] for row in rows)
    assert "TOO FEW" not in CliRunner().invoke(cli, asked).output
    sandbox.value["ladder"]["budgets"] = ["1M"]
    asked[1] = str(sandbox.write())
    assert "NEEDED: TOO FEW" in CliRunner().invoke(cli, asked).output
    assert "at hand" not in CliRunner().invoke(cli, asked[:2]).output
