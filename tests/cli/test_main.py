"""The program from outside: exit statuses, one JSON document, no traceback, light imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from synthlaw.cli.main import COMMANDS, cli


def synthlaw(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    code = "from synthlaw.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert f"synthlaw {name}" in result.output


def test_a_near_miss_of_a_command_is_told() -> None:
    result = CliRunner().invoke(cli, ["generat"])
    assert result.exit_code == 2
    assert "did you mean 'generate'?" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "missing.yaml"],
        ["plan", "missing.yaml"],
        ["plan", "bad.yaml"],
        ["status", "."],
        ["no-such-command"],
        ["plan"],
        ["init", "bad.yaml"],
    ],
)
def test_wrong_use_exits_with_2_and_says_why(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "bad.yaml").write_text("natural: 5\n")
    done = synthlaw(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_init_writes_a_study_that_plan_can_read(tmp_path: Path) -> None:
    assert synthlaw("init", "s.yaml", folder=tmp_path).returncode == 0
    done = synthlaw("plan", "s.yaml", "--json", folder=tmp_path)
    assert done.returncode == 0
    plan = json.loads(done.stdout)
    assert plan["runs"] == 3 * 3 * 4
    assert plan["tokens_to_generate"]["hq"] == pytest.approx(0.33 * 32_000, rel=0.01)
    assert plan["training"]["flops"] > 0
    assert plan["speeds"]["measured"] == []


def test_tokens_and_mixtures_from_the_command_line(tmp_path: Path) -> None:
    rows = [{"id": str(i), "text": f"the river {i} runs to the sea " * 20} for i in range(40)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    steps = [
        ["prepare", "--input", "in.jsonl", "--dedup", "exact", "--out", "corpus", "--json"],
        [
            "tokenize",
            "--input",
            "corpus/documents",
            "--vocab",
            "300",
            "--out",
            "t",
            "--json",
        ],
        ["mix", "--source", "a=t", "--share", "a=1", "--tokens", "1k", "--context", "32", "--json"],
    ]
    for step in steps:
        done = synthlaw(*step, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        value = json.loads(done.stdout)
    assert value["sources"][0]["share_realised"] == 1.0
    beyond = synthlaw(*steps[2][:6], "1B", *steps[2][7:], folder=tmp_path)
    assert beyond.returncode == 2
    assert "max_epochs" in beyond.stderr


@pytest.mark.parametrize("module", ["synthlaw.laws", "synthlaw.report", "synthlaw.study.plan"])
def test_laws_report_and_plans_do_not_load_torch(module: str) -> None:
    code = f"import {module}, sys; sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    )
