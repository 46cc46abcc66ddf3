"""What the page's explorer asks of: the laws as data, and the question that it opens with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.laws.answer import reference
from synthlaw.laws.answer.portable import Case, portable
from synthlaw.report.artifacts import Study
from synthlaw.report.situations import question_of


def explorer(study: Study, numbers: Mapping[str, int]) -> tuple[dict[str, Any] | None, str]:
    """The explorer's part of the page's data, or None and why these laws answer no questions.

    numbers: of the mixtures, by which the page knows their colours.
    """
    start = _opening(study)
    if start is None:
        return None, "no run tells both its size and its budget"
    named = study.advice.baseline if study.advice else None
    known = {law.mixture for case in study.cases for law in case.laws}
    try:
        data = portable(study.cases, named if named in known else None)
    except UsageError as error:
        return None, str(error)
    colours = {name: f"m{number}" for name, number in numbers.items()}
    paper = None if study.of_paper else portable(_paper_cases())
    return {"data": data, "start": start, "colours": colours, "paper": paper}, ""


def _paper_cases() -> list[Case]:
    """The paper's laws to compare with: their replicates would be a fifth of a page."""
    within = reference.table_reach()
    near, far = reference.laws_at(sum(within) / 2), reference.joint_laws()
    bare = [[replace(law, replicates=None) for law in laws] for laws in (near, far)]
    return [Case(bare[0], within), Case(bare[1])]


def _opening(study: Study) -> dict[str, float | None] | None:
    """The question that the page opens with."""
    question = question_of(study)
    if question is None:
        return None
    natural = study.advice.natural_tokens if study.advice else None
    opening = {"params": question.params, "tokens": question.tokens, "natural": natural}
    return {**opening, "generator": None, "training": None}
