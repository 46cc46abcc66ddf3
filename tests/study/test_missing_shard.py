"""A token shard that goes away: between two calls it is made again, under a run it is an error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sandbox import Sandbox

from synthlaw.common.errors import SynthlawError
from synthlaw.execute.executors.local import LocalExecutor
from synthlaw.study.pipeline import Outcome, run_study
from synthlaw.study.status import study_status


def run(sandbox: Sandbox, until: str) -> Outcome:
    text = sandbox.write().read_text(encoding="utf-8")
    return run_study(text, "study.yaml", sandbox.folder, sandbox.out, until=until)


def shard(sandbox: Sandbox) -> Path:
    return next(sandbox.out.glob("artifacts/tokens/natural-*/00000-000.bin"))


def test_a_missing_shard_is_made_again_or_marks_the_run(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.value["ladder"] = {
        "budgets": [512],
        "sizes": {"a": {"dim": 16, "layers": 1, "heads": 2}},
    }
    sandbox.value["mixtures"] = {"CC": {"natural": 1.0}}
    sandbox.value["execution"] = {"workers": 1}
    del sandbox.value["generate"]
    run(sandbox, "tokens")
    before = shard(sandbox).read_bytes()
    shard(sandbox).unlink()
    assert "tokens/natural" in run(sandbox, "tokens").made
    assert shard(sandbox).read_bytes() == before

    execute = LocalExecutor.map

    def without(
        self: LocalExecutor, function: str, *given: Any, **more: Any
    ) -> Iterator[tuple[int, Any]]:
        if function.startswith("synthlaw.study.run."):
            shard(sandbox).unlink()
        return execute(self, function, *given, **more)

    monkeypatch.setattr(LocalExecutor, "map", without)
    with pytest.raises(SynthlawError, match=r"CC-a-512-s0: .*00000-000\.bin") as caught:
        run(sandbox, "training")
    assert "Traceback" not in str(caught.value)
    assert "CC-a-512-s0" in json.loads((sandbox.out / "failures.json").read_text())
    assert list(study_status(sandbox.out)["runs"]["failed"]) == ["CC-a-512-s0"]

    monkeypatch.setattr(LocalExecutor, "map", execute)
    assert "training/CC-a-512-s0" in run(sandbox, "training").made
    assert shard(sandbox).read_bytes() == before
