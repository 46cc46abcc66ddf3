"""docs/laws.md: every command and every number of the worked example."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from synthlaw.cli.laws import fit, recommend

PAGE = Path(__file__).parents[2] / "docs" / "laws.md"
BLOCK = re.compile(r"```(console|python)\n(.*?)```", re.DOTALL)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
COMMANDS = {"fit": fit, "recommend": recommend}


def same(expected: str, found: str) -> bool:
    """Equal texts, numbers within 2% or one of the last digit that is printed.

    Resampled numbers differ in late digits between machines.
    """
    if NUMBER.sub("#", expected.strip()) != NUMBER.sub("#", found.strip()):
        return False
    pairs = zip(NUMBER.findall(expected), NUMBER.findall(found), strict=True)
    return all(
        float(a) == pytest.approx(float(b), rel=0.02, abs=1.01 * 10.0 ** -len(a.partition(".")[2]))
        for a, b in pairs
    )


def test_the_worked_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text(encoding="utf-8")
    known: dict[str, object] = {}
    blocks = 0
    for kind, text in BLOCK.findall(page):
        blocks += 1
        if kind == "python":
            test = doctest.DocTestParser().get_doctest(text, known, "laws.md", "laws.md", 0)
            runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
            runner.run(test, clear_globs=False)
            known.update(test.globs)
            assert runner.summarize(verbose=False).failed == 0
            continue
        command, expected = text.split("\n", 1)
        program, name, *words = shlex.split(command.removeprefix("$ "))
        assert program == "synthlaw"
        done = CliRunner().invoke(COMMANDS[name], words)
        assert done.exit_code == 0, done.output
        assert same(expected, done.stdout), done.stdout
    assert blocks == 5
