"""The card of a model that a study trained: what went into it, as the study's folder knows it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from sandbox import Sandbox

from synthlaw.cli.models import export
from synthlaw.common.digest import file_digest
from synthlaw.common.errors import UsageError
from synthlaw.study.pipeline import run_study
from synthlaw.study.results.provenance import run_provenance


def test_the_card_of_an_exported_run_tells_where_it_is_from(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.value["ladder"] = {
        "budgets": [512],
        "sizes": {"a": {"dim": 16, "layers": 1, "heads": 2}},
    }
    sandbox.value["mixtures"] = {"33HQ": {"natural": 0.67, "hq": 0.33}}
    text = sandbox.write().read_text(encoding="utf-8")
    run_study(text, "study.yaml", sandbox.folder, sandbox.out, until="evaluation")
    run = next(sandbox.out.glob("artifacts/training/33HQ-a-512-s0-*"))
    hf = tmp_path / "hf"
    done = CliRunner().invoke(export, ["--model", str(run), "--out", str(hf)])
    assert done.exit_code == 0, done.output

    lines = [
        line for line in (hf / "README.md").read_text().splitlines() if re.match(r"\| \w", line)
    ]
    card = dict(line.strip("| ").split(" | ", 1) for line in lines)
    assert (card["study"], card["run"], card["mixture"]) == ("tiny", "33HQ-a-512-s0", "33HQ")
    assert (card["token budget"], card["seed"], card["trained context"]) == (
        "512",
        "0",
        "32 tokens",
    )
    natural, generated = json.loads(card["source natural"]), json.loads(card["source hq"])
    assert (natural["share"], natural["text"]) == (0.67, "natural")
    assert (generated["share"], generated["recipe"], generated["recipe_version"]) == (
        0.33,
        "hq",
        "1",
    )
    assert "test-model" in generated["generator"]
    assert natural["tokens"] + generated["tokens"] == 512
    intervals = json.loads((sandbox.out / "evaluation.json").read_text())["intervals"]
    losses = json.loads(card["evaluation loss, nats per token"])
    assert losses == pytest.approx({row["domain"]: row["loss"] for row in intervals})
    # The tokenizer is the study's, and the one whose digest the card names.
    assert file_digest(hf / "tokenizer.json") in card["tokenizer"]

    # A study that would train something else under this name says nothing of this model.
    sandbox.value["seed"] = 8
    (sandbox.out / "study.yaml").write_text(sandbox.write().read_text())
    with pytest.raises(UsageError, match="no longer leads to this run"):
        run_provenance(run)
    assert run_provenance(tmp_path) is None
