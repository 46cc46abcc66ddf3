"""The Python that README.md and docs/python.md show, run as it stands."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from simulated_runs import joint_rows

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    better = {"E": 1.7, "A": 0.45, "B": 0.85, "alpha": 0.34, "beta": 0.3}
    rows = joint_rows(mixture="CC", seed=1, budgets=(1e9, 1e10, 5e10, 1e11, 2e11))
    rows += joint_rows(better, mixture="33HQ", seed=2, budgets=(1e9, 1e10, 5e10, 1e11, 2e11))
    with Path("runs.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["mixture", "N", "D", "loss"])
        writer.writerows([r["mixture"], r["params"], r["tokens"], r["loss"]] for r in rows)
    return tmp_path


def test_the_readme(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    exec(block, {})
    shown = capsys.readouterr().out
    assert "nats per token [" in shown
    assert "Train on '33HQ'" in shown


def test_the_page_of_python(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = BLOCK.findall((ROOT / "docs" / "python.md").read_text(encoding="utf-8"))
    known: dict[str, object] = {}
    for block in blocks:
        if "Study" not in block:
            exec(block, known)
    assert "33HQ" in capsys.readouterr().out
