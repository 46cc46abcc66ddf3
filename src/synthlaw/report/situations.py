"""The mixtures at any size and budget, as `laws.answer` weighs them: what maps and curves draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from synthlaw.common.errors import UsageError
from synthlaw.laws.answer.options import Option, Situation, mixture_options
from synthlaw.laws.answer.predictors import baseline_of, predictors
from synthlaw.laws.answer.sanity import places_of
from synthlaw.laws.lawfit import LawFit
from synthlaw.report.artifacts import Question, Study


@dataclass(frozen=True)
class Reach:
    """The smallest and largest size and budget among the runs of some laws."""

    params: tuple[float, float]
    tokens: tuple[float, float]


def laws_at(study: Study, params: float) -> Sequence[LawFit]:
    """The laws that answer for a model of `params`; empty where none do."""
    for case in study.cases:
        if case.params is None or case.params[0] <= params <= case.params[1]:
            return case.laws
    return ()


def question_of(study: Study) -> Question | None:
    """The question that was asked; without one, the run of most compute."""
    if study.advice is not None and study.advice.question is not None:
        return study.advice.question
    runs = list(study.finished_runs())
    if not runs:
        return None
    largest = max(runs, key=lambda run: run.params * run.tokens)
    return Question(params=largest.params, tokens=largest.tokens)


def options_at(study: Study, params: float, tokens: float) -> list[Option]:
    """Every mixture beside the natural one; empty where the laws compare nothing there."""
    laws = laws_at(study, params)
    named = study.advice.baseline if study.advice else None
    known = {law.mixture for law in laws}
    plain = predictors(laws, params, tokens) if laws else []
    if len(plain) < 2:
        return []
    try:
        base = baseline_of(plain, named if named in known else None)
        return mixture_options(plain, base, Situation(params, tokens))
    except UsageError:
        return []


def joint_laws(study: Study) -> list[LawFit]:
    """The laws of both sizes and nothing else, of the set of laws that has them."""
    for case in study.cases:
        found = [law for law in case.laws if set(law.form.inputs) == {"params", "tokens"}]
        if found:
            return found
    return []


def reach_of(laws: Sequence[LawFit]) -> Reach | None:
    """What the runs of `laws` cover; None where they tell no size or no budget."""
    ends = {
        name: [end for law in laws for end in places_of(law, name)] for name in ("params", "tokens")
    }
    if not (ends["params"] and ends["tokens"]):
        return None
    return Reach(
        (min(ends["params"]), max(ends["params"])), (min(ends["tokens"]), max(ends["tokens"]))
    )
