"""A study's answer is `laws.answer`'s, and a question that it refuses ends no study."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from synthlaw.laws.answer import reference
from synthlaw.laws.answer.advice import recommend
from synthlaw.laws.answer.options import Situation
from synthlaw.laws.table import RunsTable
from synthlaw.report.artifacts import Advice
from synthlaw.study.results import answer


def workspace(params: float, tokens: float) -> Any:
    question = SimpleNamespace(params=params, tokens=tokens)
    return SimpleNamespace(
        study=SimpleNamespace(question=question, baseline_name=lambda: "CC"),
        missing={},
    )


@pytest.fixture(autouse=True)
def _no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "limits_of", lambda study, missing: ["It is small."])


def test_study_recommend_and_page_say_the_same() -> None:
    laws = reference.joint_laws()
    found = answer._answer(workspace(7e9, 2e11), laws)
    asked = recommend(laws, Situation(7e9, 2e11, baseline="CC"))
    assert {**asked, "limits": ["It is small."]} == found
    page = Advice.model_validate(json.loads(json.dumps(found)))
    assert page.headline == asked["advice"] and page.baseline == "CC"
    assert page.question is not None and page.question.tokens == 2e11
    losses = [row.loss for row in page.mixtures if row.loss is not None]
    assert losses == sorted(losses) and len(losses) == 10
    assert {curve.synthetic_type for curve in page.ratios} == {"HQ", "QA", "TXBK"}
    assert all(len(curve.points) == 4 for curve in page.ratios)
    assert all(row.loss_interval is not None for row in page.mixtures)


@pytest.mark.parametrize(("params", "laws"), [(7e15, reference.joint_laws()), (7e9, [])])
def test_a_question_that_is_refused_is_an_answer(params: float, laws: list[Any]) -> None:
    found = answer._answer(workspace(params, 2e11), laws)
    assert found["level"] == "undecided" and found["advice"].startswith("No answer: ")
    page = Advice.model_validate(found)
    assert page.mixtures == [] and list(page.limits) == ["It is small."]


def test_types_of_three_shares_have_a_law_of_the_share() -> None:
    kinds = {"hq": (0.1, 0.3, 1.0), "qa": (0.3, 1.0), "": (0.0,)}
    rows = [
        {"params": 1e6, "tokens": 1e7, "loss": 3.0, "synthetic_type": kind, "synthetic_ratio": r}
        for kind, shares in kinds.items()
        for r in shares
    ]
    assert answer._types_by_share(RunsTable.from_rows(rows)) == ["hq"]
