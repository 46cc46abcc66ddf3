"""The paper's statements as this study's laws judge them, for the page and its table."""

from __future__ import annotations

from dataclasses import dataclass

from synthlaw.common.errors import UsageError
from synthlaw.laws.answer.claims import Finding, Judgement, judged
from synthlaw.laws.answer.options import Situation
from synthlaw.report.artifacts import Study
from synthlaw.report.numerals import interval, percent, signed, times, times_interval

MARKS = {"agree": "agree", "disagree": "disagree", "cannot tell": "open"}
"""The class of a verdict's tag."""


@dataclass(frozen=True)
class Claims:
    """Judged statements at a question (parameters, tokens)."""

    params: float
    tokens: float
    rows: list[Judgement]


def claims_of(study: Study) -> Claims | None:
    """Every statement, by the first of the study's sets of laws that has findings for it.

    None without a question, or where no statement can be judged at all.
    """
    question = study.advice.question if study.advice else None
    if question is None or study.advice is None:
        return None
    found: list[Judgement] = []
    for case in study.cases:
        known = {law.mixture for law in case.laws}
        named = study.advice.baseline if study.advice.baseline in known else None
        try:
            rows = judged(case.laws, Situation(question.params, question.tokens, baseline=named))
        except UsageError:
            continue
        found = [a if a.findings else b for a, b in zip(found or rows, rows, strict=True)]
    if not any(row.findings for row in found):
        return None
    return Claims(question.params, question.tokens, found)


def finding_text(finding: Finding) -> str:
    """A finding's number with its interval, in its unit."""
    span = finding.interval
    if finding.unit == "×":
        ends = f" ({times_interval(span)})" if span else ""
        return times(finding.value) + ends
    if finding.unit == "share":
        if span is None or span[0] is None or span[1] is None:
            return percent(finding.value)
        return f"{percent(finding.value)} ({percent(span[0])} to {percent(span[1])})"
    ends = f" ({interval(span, sign=True)})" if span else ", no interval"
    return signed(finding.value) + ends
