"""Loss and diversity by round, where models learned from what the study's own models wrote.

A mixture's round is the number of models that its text has passed through. Mixtures without
natural text make up the chain `replace`, those with it `accumulate`; both begin at the natural
mixture. Runs are of one size and one budget, those that most rounds have. Intervals are at 90%, of
the mean over seeds, which differ in their training and read the same text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from synthlaw.report.artifacts import Interval, Mixture, Run, Study
from synthlaw.report.generator_curves import mean_loss, span_of

NATURAL = "natural"
REPLACE, ACCUMULATE = "replace", "accumulate"

Cell = tuple[float, float]
"""Non-embedding parameters and tokens."""


@dataclass(frozen=True)
class RoundPoint:
    """The runs of one mixture. loss: their mean, nats per token.

    distinct: different trigrams over all in the text that is new in the round, of samples of one
    size; None where statistics were not made.
    """

    chain: str
    round: int
    mixture: str
    params: float
    tokens: float
    loss: float
    interval: Interval
    runs: int
    distinct: float | None


def round_points(study: Study) -> list[RoundPoint]:
    """Every point by chain and round; empty where no mixture is of a round."""
    mixtures = {one.mixture: one for one in study.mixtures}
    later = {name for name, one in mixtures.items() if one.round}
    runs: dict[Cell, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in study.finished_runs():
        if run.mixture in mixtures:
            runs[run.params, run.tokens][run.mixture].append(run)
    cells = {cell: len(later & set(found)) for cell, found in runs.items()}
    cell = max(cells, key=lambda one: (cells[one], one), default=None)
    if cell is None or not cells[cell]:
        return []
    points = []
    for chain in (REPLACE, ACCUMULATE):
        own = [n for n in runs[cell] if n in later and _chain(mixtures[n]) == chain]
        first = [n for n in runs[cell] if _is_natural(mixtures[n])]
        for name in sorted(first + own, key=lambda n: mixtures[n].round) if own else ():
            points.append(_point(study, chain, mixtures[name], cell, runs[cell][name]))
    return points


def _chain(mixture: Mixture) -> str:
    return ACCUMULATE if NATURAL in _sources(mixture) else REPLACE


def _is_natural(mixture: Mixture) -> bool:
    return _sources(mixture) == [NATURAL]


def _point(
    study: Study, chain: str, mixture: Mixture, cell: Cell, runs: Sequence[Run]
) -> RoundPoint:
    return RoundPoint(
        chain,
        mixture.round,
        mixture.mixture,
        *cell,
        mean_loss(runs),
        span_of(study, runs),
        len(runs),
        _distinct(study, mixture),
    )


def _distinct(study: Study, mixture: Mixture) -> float | None:
    """distinct-3 of the text that the mixture reads and mixtures of earlier rounds do not."""
    if study.comparison is None:
        return None
    known = {s for one in study.mixtures if one.round < mixture.round for s in _sources(one)}
    for name in _sources(mixture):
        if name not in known:
            for row in study.comparison.rows("ngrams", set=name, role="training", n=3):
                return float(row["distinct_ratio"])
    return None


def _sources(mixture: Mixture) -> list[str]:
    return [one.source for one in mixture.sources if one.share_asked]
