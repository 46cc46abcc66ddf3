"""The documentation site: it builds without a warning, and leaves out no key and no option."""

from __future__ import annotations

import csv
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest
import yaml
from click.testing import CliRunner
from simulated_runs import joint_rows

from synthlaw.cli.main import COMMANDS, cli

ROOT = Path(__file__).parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_site_builds_strictly(hooks: ModuleType, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "reference" / "study-file" / "index.html").read_text(encoding="utf-8")
    assert "learning_rate" in page
    assert "https://fonts" not in page


def test_every_option_of_every_command_is_there(hooks: ModuleType) -> None:
    page = hooks.commands_page()
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                for flag in parameter.opts:
                    assert flag in section, (name, flag)


def test_every_key_of_the_study_file_is_there(hooks: ModuleType) -> None:
    page = hooks.study_page()
    places = dict(hooks.models())
    for place, model in places.items():
        heading = f"\n## {place or 'The whole file'}\n"
        section = page.split(heading)[1].split("\n## ")[0]
        for name in model.model_fields:
            assert f"| `{name}` |" in section, (place, name)
    for needed in ("training", "generate.engine", "generate.recipes.NAME", "ladder.sizes.NAME"):
        assert needed in places


def _commands(page: Path) -> list[list[str]]:
    """The commands of a page's shell blocks, without their comments."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


@pytest.mark.parametrize("page", ["own-runs.md", "data-lead.md"])
def test_tutorials_do_what_they_say(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = joint_rows(mixture="CC", seed=1)
    rows += joint_rows({"E": 1.7, "A": 0.45, "B": 0.85, "alpha": 0.34, "beta": 0.3}, mixture="QA")
    with Path("runs.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for program, *words in _commands(TUTORIALS / page):
        assert program == "synthlaw"
        done = CliRunner().invoke(cli, words, catch_exceptions=False)
        assert done.exit_code == 0, (words, done.output)


def test_studies_shown_in_the_docs_are_valid_yaml_of_known_keys(hooks: ModuleType) -> None:
    known = {name for _, model in hooks.models() for name in model.model_fields}
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for block in re.findall(r"```yaml\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
            value = yaml.safe_load(block)
            top = set(value) if isinstance(value, dict) else set()
            assert top <= known or "steps" in top or "prompt" in str(value), (path, top - known)


def test_the_tour_names_files_that_there_are() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    tour = text.split("## A reader's tour")[1].split("\n## ")[0]
    named = re.findall(r"`([\w/]+(?:\.py|/))[:`]", tour)
    assert len(named) > 40
    for name in named:
        places = [ROOT / name, ROOT / "src" / "synthlaw" / name]
        assert any(place.exists() for place in places), name


def test_tests_that_the_docs_name_are_there() -> None:
    text = (ROOT / "docs" / "clusters.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", text))
    there = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 20
    assert [name for name in sorted(named) if f"def {name}(" not in there] == []
