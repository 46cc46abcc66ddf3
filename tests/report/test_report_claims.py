"""The paper's statements, judged by its own coefficients and by a study's laws."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_study import rendered, write_study

from synthlaw.laws.answer import reference
from synthlaw.laws.answer.claims import Judgement, judged
from synthlaw.laws.answer.options import Situation
from synthlaw.laws.forms.power import JOINT
from synthlaw.laws.lawfit import LawFit
from synthlaw.report.claims import claims_of
from synthlaw.report.paper_laws import study_of_paper
from synthlaw.report.reading import read_study
from synthlaw.report.tables import study_tables

ALONE = "Rephrased text alone"
FASTER = "A third of rephrased text reaches"


def joint(mixture: str, kind: str, share: float, floor: float, spread: float = 0.002) -> LawFit:
    """A joint law whose floor alone is uncertain."""
    noise = np.random.default_rng(list(mixture.encode()))
    vector = np.array([floor, 0.3, 1.2, 0.35, 0.4])
    replicates = np.tile(vector, (200, 1))
    replicates[:, 0] += spread * noise.standard_normal(200)
    return LawFit(
        mixture=mixture,
        law="joint",
        form=JOINT,
        coefficients=dict(zip((*JOINT.linear, *JOINT.shape), map(float, vector), strict=True)),
        unit={"params": 1e9, "tokens": 1e9},
        points=20,
        objective="log-huber",
        value=0.0,
        ranges={"params": (1e8, 2e9), "tokens": (1e9, 1e11)},
        synthetic_type=kind,
        ratio=share,
        method="noise",
        replicates=replicates,
    )


def verdict(rows: list[Judgement], start: str) -> Judgement:
    found = [row for row in rows if row.statement.startswith(start)]
    assert len(found) == 1
    return found[0]


AT = Situation(1e9, 1e11)


@pytest.mark.parametrize(
    ("floor", "expected"),
    [(2.5, "agree"), (2.30, "agree"), (2.1, "disagree"), (2.2885, "cannot tell")],
)
def test_rephrased_alone_against_natural(floor: float, expected: str) -> None:
    laws = [joint("CC", "", 0.0, 2.3), joint("HQ", "HQ", 1.0, floor)]
    row = verdict(judged(laws, AT), ALONE)
    assert row.verdict == expected
    assert row.findings[0].value == pytest.approx(floor - 2.3)


def test_a_statement_holds_when_it_holds_for_each() -> None:
    laws = [joint("CC", "", 0.0, 2.3), joint("HQ", "HQ", 1.0, 2.5), joint("QA", "QA", 1.0, 2.0)]
    row = verdict(judged(laws, AT), ALONE)
    assert [finding.verdict for finding in row.findings] == ["agree", "disagree"]
    assert row.verdict == "disagree"


def test_similar_shares_are_told_from_different_ones() -> None:
    start = "Of rephrased text a third"
    for other, expected in ((2.2, "agree"), (2.1, "disagree"), (2.3, "disagree")):
        laws = [
            joint("CC", "", 0.0, 2.4),
            joint("33HQ", "HQ", 0.33, 2.2),
            joint("67HQ", "HQ", 0.67, other),
        ]
        assert verdict(judged(laws, AT), start).verdict == expected


def test_floors_and_speed() -> None:
    laws = [
        joint("CC", "", 0.0, 2.4),
        joint("33HQ", "HQ", 0.33, 2.1),
        joint("QA", "QA", 1.0, 2.6),
        joint("67TXBK", "TXBK", 0.67, 2.2),
    ]
    rows = judged(laws, AT)
    assert verdict(rows, "A third of HQ has the lowest").verdict == "agree"
    assert verdict(rows, "Every mixture but QA alone").verdict == "agree"
    assert verdict(rows, FASTER).verdict == "agree"
    swapped = [replace(law, mixture=law.mixture, ratio=0.67 if law.ratio == 0.33 else 0.33)
               if law.synthetic_type in ("HQ", "TXBK") else law for law in laws]  # fmt: skip
    assert verdict(judged(swapped, AT), "A third of HQ has the lowest").findings == []


def test_laws_without_replicates_tell_nothing() -> None:
    laws = [replace(joint(*spec), replicates=None) for spec in
            (("CC", "", 0.0, 2.3), ("HQ", "HQ", 1.0, 2.9))]  # fmt: skip
    row = verdict(judged(laws, AT), ALONE)
    assert row.verdict == "cannot tell" and row.findings[0].interval is None


def test_what_is_missing_is_said() -> None:
    rows = judged([joint("CC", "", 0.0, 2.3), joint("mine", "essays", 0.5, 2.2)], AT)
    assert verdict(rows, ALONE).missing.startswith("it needs rephrased text")


def test_the_papers_own_coefficients() -> None:
    """The table's numbers against arithmetic on Table 4 alone."""
    found = claims_of(study_of_paper())
    assert found is not None
    data = {law.mixture: law for law in reference.data_laws()}
    pure = verdict(found.rows, ALONE)
    gap = data["QA"].predict(tokens=200e9) - data["CC"].predict(tokens=200e9)
    assert pure.findings[1].value == pytest.approx(float(gap[0]))
    assert pure.verdict == "disagree", "QA alone is below CC by Table 4"
    assert verdict(found.rows, FASTER).verdict == "agree"
    assert verdict(found.rows, "Of textbooks a third").verdict == "agree"
    floors = verdict(found.rows, "A third of HQ has the lowest")
    assert floors.findings, "judged by the joint laws, which Table 4's laws are not"


def test_a_studys_page_and_table_judge_them(tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path / "study"))
    text = rendered(study)
    assert '<section id="claims"' in text and 'href="#claims"' in text
    assert "claims.csv" in study_tables(study)
    other = replace(study, cases=[], advice=None)
    assert '<section id="claims"' not in rendered(other)
