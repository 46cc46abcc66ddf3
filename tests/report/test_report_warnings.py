"""The page's warnings: those that touch the answer come first, whatever the order of the laws."""

from __future__ import annotations

from synthlaw.report.artifacts import Advice, Law, Study, Warned
from synthlaw.report.sections import warning_groups


def law(mixture: str, kind: str, *codes: str) -> Law:
    return Law(
        mixture=mixture,
        law=kind,
        coefficients={"E": 1.0},
        warnings=[Warned(code=code, message=f"{code} said") for code in codes],
    )


def study(*warnings: tuple[str, str]) -> Study:
    advice = {"advice": "x", "law": "joint"}
    advice_warnings = [{"code": code, "message": message} for code, message in warnings]
    return Study(
        "s",
        laws=[
            law("CC", "data", "few-levels", "at-bound"),
            law("CC", "joint", "at-bound", "weakly-identified"),
            law("HQ", "joint", "weakly-identified"),
        ],
        advice=Advice.model_validate({**advice, "warnings": advice_warnings}),
    )


def test_warnings_of_the_answer_come_first() -> None:
    groups = warning_groups(study(("extrapolation", "far"), ("at-bound", "'CC': at-bound said")))
    assert [(group.code, group.answers) for group in groups] == [
        ("at-bound", True),
        ("extrapolation", True),
        ("few-levels", False),
        ("at-bound", False),
        ("weakly-identified", False),
    ]
    of_answer = groups[0]
    assert of_answer.messages == [("at-bound said", ["CC, joint law"])], "told once, at its law"
    assert groups[3].messages == [("at-bound said", ["CC, data law"])]
    assert groups[4].count == 2


def test_a_study_without_an_answer_still_warns() -> None:
    bare = study()
    groups = warning_groups(bare)
    assert {group.code for group in groups} == {"few-levels", "at-bound", "weakly-identified"}
    assert not any(group.answers for group in groups)
