"""`synthlaw compare`: pairing, averages, p-values, and what cannot be compared."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from synthlaw.cli.main import cli
from synthlaw.common.errors import UsageError
from synthlaw.evaluation.comparison import compare
from synthlaw.evaluation.scores import DocumentScores, DomainScores, write_scores


def scored(name: str, shift: float, seed: int, documents: int = 40) -> DomainScores:
    """The same documents for every shift; a model's own noise comes from `seed`."""
    shared = np.random.default_rng(0)
    tokens = shared.integers(50, 500, documents)
    rates = 3 + shared.normal(0, 0.5, documents) + shift
    rates += np.random.default_rng(seed).normal(0, 0.02, documents)
    return DomainScores(name, DocumentScores(rates * tokens, tokens, 4 * tokens, tokens))


def models() -> dict[str, dict[str, DomainScores]]:
    return {
        "base": {d: scored(d, 0.0, 1) for d in ("a", "b")},
        "better": {d: scored(d, -0.05, 2) for d in ("a", "b", "c")},
        "same": {d: scored(d, 0.0, 3) for d in ("a", "b")},
    }


def test_differences_by_domain_and_over_all() -> None:
    rows = compare(models())
    assert [(row["model"], row["domain"]) for row in rows] == [
        (model, domain)
        for model in ("better", "same")
        for domain in ("a", "b", "pooled", "mean of domains")
    ]
    for row in rows[:4]:
        assert row["low"] < row["difference"] < row["high"] < 0
        assert row["difference"] == pytest.approx(row["value"] - row["baseline"])
        assert row["p_value"] < 0.01
    for row in rows[4:]:
        assert row["low"] < 0 < row["high"]
        assert row["p_value"] > 0.1
    assert rows[0]["p_holm"] >= rows[0]["p_value"]
    assert rows[2]["p_holm"] is None


def test_too_few_documents_have_a_difference_without_bounds() -> None:
    few = {name: {"a": scored("a", shift, 1, 3)} for name, shift in (("x", 0.0), ("y", 0.1))}
    (row,) = compare(few)
    assert row["difference"] == pytest.approx(0.1)
    assert row["low"] is row["p_value"] is row["p_holm"] is None


def test_what_cannot_be_compared_is_said() -> None:
    found = models()
    with pytest.raises(UsageError, match="found 1 model"):
        compare({"base": found["base"]})
    with pytest.raises(UsageError, match="no domain is in all results"):
        compare({"base": found["base"], "x": {"z": scored("z", 0, 1)}})
    with pytest.raises(UsageError, match=r"base has 40 documents .* x has 39"):
        compare({"base": found["base"], "x": {"a": scored("a", 0, 1, 39)}})
    other = found["same"]["a"].documents
    finer = DocumentScores(other.nll, other.tokens * 2, other.bytes, other.words)
    pair = {"base": {"a": found["base"]["a"]}, "x": {"a": DomainScores("a", finer)}}
    with pytest.raises(UsageError, match="by bits_per_byte"):
        compare(pair)
    assert len(compare(pair, "bits_per_byte")) == 1


def test_the_command(tmp_path: Path) -> None:
    for name, domains in models().items():
        (tmp_path / name).mkdir()
        write_scores(tmp_path / name / "scores.parquet", domains)
        stride = 8 if name == "same" else 4
        (tmp_path / name / "scores.json").write_text(json.dumps({"protocol": {"stride": stride}}))

    def run(*words: str) -> Any:
        return CliRunner().invoke(cli, ["compare", *words], standalone_mode=False)

    folders = [str(tmp_path / name) for name in models()]
    done = run(*folders, "--json", "--out", str(tmp_path / "out"))
    value = json.loads(done.stdout)
    assert value["baseline"] == "base"
    assert value["warnings"] == ["warning: same was scored with stride 8, base with 4"]
    with (tmp_path / "out" / "comparison.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == len(value["differences"]) == 8
    assert (tmp_path / "out" / "comparison.svg").exists()
    assert "better: mean of domains" in run(*folders).stdout
    assert isinstance(run(folders[0], folders[0]).exception, UsageError)
    assert "not a table of evaluation scores" in str(run(str(tmp_path), folders[0]).exception)
