"""examples/paper.py: the paper's experiment is planned as the paper has it, and runs when tiny."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fault_server import fault_server
from sandbox import article, write_texts

from synthlaw.study.plan import plan_study


def example() -> ModuleType:
    path = Path(__file__).parents[2] / "examples" / "paper.py"
    spec = importlib.util.spec_from_file_location("paper", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer(asked: dict[str, Any]) -> str:
    """What each of the three recipes takes for an answer: an article, pairs, chapters."""
    sentences = [one.strip().capitalize() for one in article(asked).split(".") if one.strip()]
    prompt = json.dumps(asked).lower()
    if "question" in prompt:
        pairs = zip(sentences[::2], sentences[1::2], strict=False)
        return "\n\n".join(f"Question: {a}?\nAnswer: {b}." for a, b in pairs)
    if "outline" in prompt:
        return "\n".join(f"Chapter {n}: {one}." for n, one in enumerate(sentences * 2, 1))
    return article(asked)


def test_the_plan_is_the_paper_s() -> None:
    study = example().paper_study("paper", "crawl/*.jsonl", {"kind": "embedded"}, "out")
    plan = plan_study(study.spec, study.base)
    # Ten mixtures: seven budgets at 1B, six sizes at 50B, one of them both.
    assert plan["runs"] == 10 * (7 + 6 - 1)
    assert plan["tokenizer"]["vocab"] == 128_256
    training = study.spec.training
    assert (training.context, training.batch_tokens, training.learning_rate) == (
        4096,
        1 << 20,
        3e-4,
    )
    # The largest budget is read once: 200B tokens of each synthetic type.
    assert {name: round(n / 1e9) for name, n in plan["tokens_to_generate"].items()} == {
        "hq": 200,
        "qa": 200,
        "txbk": 200,
    }


@pytest.mark.slow
def test_the_experiment_runs_at_a_tiny_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = example()
    monkeypatch.setitem(paper.SCALES["tiny"], "sizes", ["0.1M", "0.3M"])
    monkeypatch.setitem(paper.SCALES["tiny"], "size", "0.1M")
    monkeypatch.setitem(paper.SCALES["tiny"], "budget", 1024)
    monkeypatch.setitem(paper.SCALES["tiny"], "budgets", [1024, 2048])
    write_texts(tmp_path / "natural.jsonl", 100, seed=1)
    monkeypatch.chdir(tmp_path)
    with fault_server(answer=answer) as server:
        engine = {"kind": "openai", "base_url": server.url, "model": "m"}
        study = paper.paper_study("tiny", "natural.jsonl", engine, "out").run(until="training")
    rows = study.runs().rows
    assert len(rows) == 10 * 3
    assert Counter(row["grid"] for row in rows) == {"data": 10, "model": 10, "data+model": 10}
