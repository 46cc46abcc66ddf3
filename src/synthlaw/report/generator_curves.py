"""Loss by generator and share, where several generators carried out one recipe.

Runs of one size and one budget, those that most shares and generators have. An interval is of the
mean over seeds (Student's t) where there are several, else over the documents that were scored;
both at 90%. Generators were scored on the same documents, so their difference is surer than two
intervals side by side suggest.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from synthlaw.report.artifacts import Interval, Run, Study

LEVEL = 0.9

Cell = tuple[float, float]
"""Non-embedding parameters and tokens."""


@dataclass(frozen=True)
class GeneratorPoint:
    """The runs of one share of one generator's text; loss: their mean, nats per token."""

    recipe: str
    generator: str
    share: float
    params: float
    tokens: float
    loss: float
    interval: Interval
    runs: int


def generator_points(study: Study) -> list[GeneratorPoint]:
    """Every point of the comparison, by recipe, generator and share; empty without one."""
    authors = _authors(study)
    cell = _cell(study, authors)
    if cell is None:
        return []
    found: dict[str, dict[str, list[GeneratorPoint]]] = defaultdict(dict)
    for source, (recipe, generator) in authors.items():
        if points := _points(study, source, recipe, generator, cell):
            found[recipe][generator] = points
    several = [curves.values() for curves in found.values() if len(curves) > 1]
    return [point for curves in several for points in curves for point in points]


def _authors(study: Study) -> dict[str, tuple[str, str]]:
    """Recipe and generator of every generated source."""
    if study.generation is None:
        return {}
    labels = {one.generator: one.label for one in study.generation.generators}
    return {
        one.recipe: (one.of or one.recipe, _shown(one.generator or "", labels))
        for one in study.generation.recipes
    }


def _shown(name: str, labels: Mapping[str, str]) -> str:
    """The study's name for a generator; the engine's label where it has none of its own."""
    return (labels.get(name) or name) if name == "engine" else name


def _cell(study: Study, authors: Mapping[str, tuple[str, str]]) -> Cell | None:
    """The size and budget at which most sources were mixed in; the largest of several."""
    mixed: dict[Cell, set[tuple[str, float]]] = defaultdict(set)
    for run in study.finished_runs():
        if run.synthetic_type in authors and run.synthetic_ratio:
            mixed[run.params, run.tokens].add((run.synthetic_type, run.synthetic_ratio))
    return max(mixed, key=lambda cell: (len(mixed[cell]), cell), default=None)


def _points(
    study: Study, source: str, recipe: str, generator: str, cell: Cell
) -> list[GeneratorPoint]:
    runs: dict[float, list[Run]] = defaultdict(list)
    for run in study.finished_runs():
        if run.synthetic_type == source and (run.params, run.tokens) == cell:
            runs[run.synthetic_ratio or 0.0].append(run)
    return [
        GeneratorPoint(
            recipe, generator, share, *cell, mean_loss(some), span_of(study, some), len(some)
        )
        for share, some in sorted(runs.items())
        if share > 0
    ]


def mean_loss(runs: Sequence[Run]) -> float:
    """Nats per token, the mean of finished runs."""
    return math.fsum(run.loss or 0.0 for run in runs) / len(runs)


def span_of(study: Study, runs: Sequence[Run]) -> Interval:
    """The interval of the mean of runs that differ in their seed; of one run, over documents."""
    mean = mean_loss(runs)
    if len(runs) > 1:
        variance = math.fsum(((run.loss or 0.0) - mean) ** 2 for run in runs) / (len(runs) - 1)
        half = float(stdtrit(len(runs) - 1, 0.5 + LEVEL / 2)) * math.sqrt(variance / len(runs))
        return mean - half, mean + half
    return _over_documents(study, runs[0])


def _over_documents(study: Study, run: Run) -> Interval:
    """The domains' intervals as one of their mean: domains are independent."""
    known = study.evaluation.intervals if study.evaluation else ()
    spans = {one.domain: one for one in known if one.run == run.run}
    low = high = 0.0
    for domain, loss in run.domains.items():
        span = spans.get(domain)
        if span is None or span.low is None or span.high is None:
            return None, None
        low += (loss - span.low) ** 2
        high += (span.high - loss) ** 2
    if not run.domains:
        return None, None
    count, mean = len(run.domains), run.loss or 0.0
    return mean - math.sqrt(low) / count, mean + math.sqrt(high) / count
