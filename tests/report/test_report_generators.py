"""The comparison of generators: which runs it is of, its intervals, its figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from synthlaw.report.artifacts import (
    DomainInterval,
    Evaluation,
    Generation,
    Generator,
    Recipe,
    Run,
    Study,
)
from synthlaw.report.build import build_report
from synthlaw.report.chart import Interval, Line
from synthlaw.report.charts import generators
from synthlaw.report.generator_curves import generator_points
from synthlaw.report.page import render_page
from synthlaw.report.tables import study_tables

SHARES = (0.01, 0.05, 0.2)
GENERATION = Generation(
    generators=[
        Generator(generator="engine", label="mistral-7b"),
        Generator(generator="<b>large</b>", label="llama-70b"),
    ],
    recipes=[
        Recipe(recipe="hq", of="hq", generator="engine"),
        Recipe(recipe="hq-large", of="hq", generator="<b>large</b>"),
        Recipe(recipe="qa", of="qa", generator="engine"),
    ],
)


def runs(
    sources: Sequence[str], seeds: Sequence[int], params: float = 1e6, tokens: float = 1e7
) -> list[Run]:
    return [
        Run(
            run=f"{source}-{share}-{params:g}-{tokens:g}-{seed}",
            mixture=f"{100 * share:g}{source}",
            params=params,
            tokens=tokens,
            loss=3.0 + share + 0.1 * seed,
            seed=str(seed),
            synthetic_type=source,
            synthetic_ratio=share,
            domains={"a": 2.5 + share + 0.1 * seed, "b": 3.5 + share + 0.1 * seed},
        )
        for source in sources
        for share in SHARES
        for seed in seeds
    ]


def test_recipes_of_several_generators_are_compared_at_the_size_that_most_runs_have() -> None:
    most = runs(["hq", "hq-large", "qa"], [0, 1])
    fewer = runs(["hq", "hq-large"], [0], tokens=2e7)
    study = Study("s", runs=[*most, *fewer], generation=GENERATION)
    points = generator_points(study)
    assert {(p.recipe, p.params, p.tokens, p.runs) for p in points} == {("hq", 1e6, 1e7, 2)}
    assert [(p.generator, p.share) for p in points] == [
        (name, share) for name in ("mistral-7b", "<b>large</b>") for share in SHARES
    ]
    # Two seeds 0.1 apart: standard error 0.05, Student's t of one degree of freedom 6.314.
    for point in points:
        assert point.loss == pytest.approx(3.05 + point.share)
        low, high = point.interval
        assert low is not None and high is not None
        assert (
            high - point.loss == pytest.approx(point.loss - low) == pytest.approx(0.3157, rel=1e-3)
        )


def test_one_seed_has_the_interval_of_its_documents_or_none() -> None:
    alone = runs(["hq", "hq-large"], [0])
    spans = [
        DomainInterval(run=run.run, domain=name, loss=loss, low=loss - 0.03, high=loss + 0.04)
        for run in alone
        if run.synthetic_type == "hq"
        for name, loss in run.domains.items()
    ]
    study = Study("s", runs=alone, generation=GENERATION, evaluation=Evaluation(intervals=spans))
    for point in generator_points(study):
        if point.generator == "mistral-7b":
            assert point.interval == (
                pytest.approx(point.loss - 0.03 / math.sqrt(2)),
                pytest.approx(point.loss + 0.04 / math.sqrt(2)),
            )
        else:
            assert point.interval == (None, None)


def test_one_generator_is_no_comparison() -> None:
    assert (
        generators.of_study(Study("s", runs=runs(["hq", "qa"], [0]), generation=GENERATION)) is None
    )
    assert generators.of_study(Study("s", runs=runs(["hq"], [0]))) is None


def test_figure_page_and_table_show_it() -> None:
    study = Study("s", runs=runs(["hq", "hq-large"], [0, 1]), generation=GENERATION)
    chart = generators.of_study(study)
    assert chart is not None
    (panel,) = chart.panels
    assert sum(isinstance(mark, Line) for mark in panel.marks) == 2
    assert sum(isinstance(mark, Interval) for mark in panel.marks) == 6
    page = render_page(study, {"generators": chart}, [])
    assert 'id="generators"' in page and "<b>large</b>" not in page
    assert len(study_tables(study)["generators.csv"].splitlines()) == 7


@pytest.mark.usefixtures("no_files")
def test_a_folder_without_several_generators_has_no_such_section(tmp_path: Path) -> None:
    from report_study import write_study

    page = build_report(write_study(tmp_path / "study")).read_text()
    assert 'id="generators"' not in page
