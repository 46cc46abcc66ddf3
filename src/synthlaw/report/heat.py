"""Losses by domain at one point of the grid, with intervals and differences to the baseline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from synthlaw.report.artifacts import Domain, Interval, Run, Study

Span = tuple[float, float]


@dataclass(frozen=True)
class Cell:
    """One mixture on one domain, mean over seeds; shade is the difference, scaled to -1 to 1."""

    loss: float
    span: Interval | None
    difference: float | None
    shade: float


@dataclass(frozen=True)
class HeatTable:
    """Rows are mixtures, columns domains; `seeds` is the most runs behind one cell."""

    params: float
    tokens: float
    domains: Sequence[Domain]
    rows: Sequence[tuple[str, Sequence[Cell | None]]]
    baseline: str | None
    seeds: int


def baseline_of(study: Study) -> str | None:
    """The mixture that others are compared with: the advice's, else the first without synthetic."""
    if study.advice is not None and study.advice.baseline:
        return study.advice.baseline
    for run in study.runs:
        if not run.synthetic_type:
            return run.mixture
    return None


def heat_table(study: Study, mixtures: Sequence[str]) -> HeatTable | None:
    """The table at the largest point that most mixtures share; None without domain losses."""
    scored = [run for run in study.finished_runs() if run.domains]
    if not scored:
        return None
    params, tokens = _largest_shared_point(scored)
    here = [run for run in scored if (run.params, run.tokens) == (params, tokens)]
    domains = _domains(study, here)
    spans = _spans(study)
    by_mixture: dict[str, list[Run]] = defaultdict(list)
    for run in here:
        by_mixture[run.mixture].append(run)
    means = {
        mixture: {domain.domain: _mean(runs, domain.domain) for domain in domains}
        for mixture, runs in by_mixture.items()
    }
    baseline = baseline_of(study)
    base = means.get(baseline or "", {})
    # Full colour is never less than an interval wide, or noise would look like a finding.
    full = max(_largest_difference(means, base), _usual_width(here, spans))
    rows = []
    for mixture in mixtures:
        if mixture in by_mixture:
            runs = by_mixture[mixture]
            cells = [
                _cell(means[mixture][d.domain], base.get(d.domain), full, _span(runs, d, spans))
                for d in domains
            ]
            rows.append((mixture, cells))
    seeds = max(len(runs) for runs in by_mixture.values())
    return HeatTable(params, tokens, domains, rows, baseline if base else None, seeds)


def _largest_shared_point(runs: Sequence[Run]) -> tuple[float, float]:
    """(params, tokens) with the most mixtures; of equals the one of most compute."""
    mixtures: dict[tuple[float, float], set[str]] = defaultdict(set)
    for run in runs:
        mixtures[run.params, run.tokens].add(run.mixture)
    return max(mixtures, key=lambda point: (len(mixtures[point]), point[0] * point[1], point))


def _domains(study: Study, runs: Sequence[Run]) -> list[Domain]:
    """The scored domains: in the evaluation's order and with its facts where it names them."""
    scored = list(dict.fromkeys(name for run in runs for name in run.domains))
    known = {d.domain: d for d in study.evaluation.domains} if study.evaluation else {}
    ordered = [name for name in known if name in scored]
    ordered += [name for name in scored if name not in known]
    return [known.get(name) or Domain(domain=name) for name in ordered]


def _spans(study: Study) -> dict[tuple[str, str], Span]:
    """(run, domain) to its interval."""
    if study.evaluation is None:
        return {}
    return {
        (row.run, row.domain): (row.low, row.high)
        for row in study.evaluation.intervals
        if row.low is not None and row.high is not None
    }


def _mean(runs: Sequence[Run], domain: str) -> float | None:
    losses = [run.domains[domain] for run in runs if domain in run.domains]
    return sum(losses) / len(losses) if losses else None


def _span(
    runs: Sequence[Run], domain: Domain, spans: Mapping[tuple[str, str], Span]
) -> Interval | None:
    """The runs' interval; over seeds the mean of the ends, since the documents are the same."""
    found = [spans[run.run, domain.domain] for run in runs if (run.run, domain.domain) in spans]
    if not found or len(found) < len(runs):
        return None
    return sum(low for low, _ in found) / len(found), sum(high for _, high in found) / len(found)


def _largest_difference(
    means: Mapping[str, Mapping[str, float | None]], base: Mapping[str, float | None]
) -> float:
    differences = [
        abs(loss - other)
        for row in means.values()
        for domain, loss in row.items()
        if loss is not None and (other := base.get(domain)) is not None
    ]
    return max(differences, default=0.0)


def _usual_width(runs: Sequence[Run], spans: Mapping[tuple[str, str], Span]) -> float:
    """The median width of the runs' intervals; 0 when there are none."""
    names = {run.run for run in runs}
    widths = [high - low for (run, _), (low, high) in spans.items() if run in names]
    return median(widths) if widths else 0.0


def _cell(
    loss: float | None, base: float | None, full: float, span: Interval | None
) -> Cell | None:
    if loss is None:
        return None
    difference = None if base is None else loss - base
    shade = difference / full if difference and full else 0.0
    return Cell(loss, span, difference, shade)
