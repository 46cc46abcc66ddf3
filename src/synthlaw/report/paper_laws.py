"""The laws that the paper published, as what the page shows: there are no runs, only its tables."""

from __future__ import annotations

from synthlaw.laws.answer import reference
from synthlaw.laws.answer.advice import recommend
from synthlaw.laws.answer.options import Situation
from synthlaw.laws.answer.portable import Case
from synthlaw.report.artifacts import Advice, Law, Study
from synthlaw.report.reading import clean

QUESTION = (1e9, 200e9)
"""Where the paper tells its speed-ups: parameters and tokens."""

LIMITS = (
    "The paper gives no runs and no intervals: an interval here comes from its validation errors "
    "and from how far its two tables disagree",
    "Laws of both sizes are put together from Table 4 (1B parameters) and Table 5 (50B tokens), as "
    "if losses added up; the paper's own joint fits (its Figure 3) have no published coefficients, "
    "so statements about floors are judged by these",
)


def study_of_paper(params: float = QUESTION[0], tokens: float = QUESTION[1]) -> Study:
    """Tables 4 and 5, and the answer from them at a question in plain counts."""
    laws = [*reference.data_laws(), *reference.model_laws()]
    answer = recommend(reference.laws_at(params), Situation(params, tokens))
    return Study(
        name="arXiv 2510.01631, Tables 4 and 5",
        laws=[Law.model_validate(clean(law.to_json())) for law in laws],
        cases=[
            Case(reference.laws_at(sum(reference.table_reach()) / 2), reference.table_reach()),
            Case(reference.joint_laws()),
        ],
        advice=Advice.model_validate(clean({**answer, "limits": list(LIMITS)})),
        of_table=True,
        of_paper=True,
    )
