"""Coverage of the intervals over documents on simulated sets: how often they hold the truth.

    python benchmarks/evaluation_coverage.py [--trials 1000] [--resamples 1000] [--only NAME]

A set of n documents is drawn again and again from a known distribution of lengths and losses; the
nominal 90% interval of its loss per token should hold the distribution's own loss per token in 90%
of the draws. Prints, per kind of documents and n, the share of hits (one standard error of 1,000
trials is 0.9 points), and the share of false alarms of the paired test at 10%.

    --scores FILE...    draws documents from real scores (scores.parquet of `synthlaw evaluate`)
                        instead: each domain's own documents are the distribution.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from synthlaw.evaluation.intervals import bootstrap_interval, paired_difference
from synthlaw.evaluation.scores import read_scores

Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]

COUNTS = (6, 10, 20, 50, 200)
POPULATION = 4_000_000


def with_lengths(lengths: Draw | Callable, gamma: bool = False) -> Draw:
    """Documents of such lengths; their loss falls with length and differs by document."""

    def draw(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        sizes = np.maximum(2, lengths(random, count)).round()
        noise = random.gamma(2, 0.5, count) if gamma else 0.5 * random.standard_normal(count)
        return (4 - 0.2 * np.log(sizes) + noise) * sizes, sizes

    return draw


KINDS: dict[str, Draw] = {
    "one length": with_lengths(lambda random, n: np.full(n, 500.0)),
    "lognormal 0.8": with_lengths(lambda random, n: random.lognormal(5, 0.8, n)),
    "the same, skewed losses": with_lengths(lambda random, n: random.lognormal(5, 0.8, n), True),
    "lognormal 1.5 (heavy)": with_lengths(lambda random, n: random.lognormal(5, 1.5, n)),
    "Pareto 3 (heavy)": with_lengths(lambda random, n: 50 * (1 + random.pareto(3, n))),
    "Pareto 1.5 (no variance)": with_lengths(lambda random, n: 50 * (1 + random.pareto(1.5, n))),
    "Pareto 1.5, first 4,096 tokens": with_lengths(
        lambda random, n: np.minimum(4096, 50 * (1 + random.pareto(1.5, n)))
    ),
}


def from_scores(top: np.ndarray, bottom: np.ndarray) -> Draw:
    """Documents drawn with replacement from real ones."""

    def draw(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = random.integers(len(top), size=count)
        return top[chosen], bottom[chosen]

    return draw


def coverage(draw: Draw, truth: float, count: int, trials: int, resamples: int) -> float:
    """Share of drawn sets whose nominal 90% interval holds `truth`."""
    hits = 0
    for trial in range(trials):
        terms = draw(np.random.default_rng((trial, count)), count)
        found = bootstrap_interval(*terms, resamples=resamples, seed=trial)
        hits += found.low <= truth <= found.high
    return hits / trials


def false_alarms(draw: Draw, count: int, trials: int, resamples: int) -> float:
    """Share of pairs without a difference that the paired test at 10% calls different."""
    alarms = 0
    for trial in range(trials):
        random = np.random.default_rng((trial, count, 1))
        top, bottom = draw(random, count)
        # Each model's own error in each document, as large for both.
        first, second = (top + bottom * 0.1 * random.standard_normal(len(top)) for _ in range(2))
        found = paired_difference(
            (first, bottom), (second, bottom), resamples=resamples, seed=trial
        )
        alarms += found.p_value < 0.1
    return alarms / trials


def report(name: str, draw: Draw, truth: float, trials: int, resamples: int) -> None:
    cells = [f"{100 * coverage(draw, truth, n, trials, resamples):.1f}" for n in COUNTS]
    alarms = [f"{100 * false_alarms(draw, n, trials, resamples):.1f}" for n in COUNTS]
    print(f"| {name} | {' | '.join(cells)} | {', '.join(alarms)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--only", help="kinds whose name holds this")
    parser.add_argument("--scores", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    print(f"| documents | {' | '.join(map(str, COUNTS))} | false alarms at 10% |")
    print("|---|" + "---|" * (len(COUNTS) + 1))
    if options.scores:
        for path in options.scores:
            for name, domain in read_scores(path).items():
                if len(domain.documents) >= 50:
                    draw = from_scores(*domain.terms("loss"))
                    report(name, draw, domain.loss, options.trials, options.resamples)
        return
    for name, draw in KINDS.items():
        if options.only and options.only not in name:
            continue
        top, bottom = draw(np.random.default_rng(2026), POPULATION)
        truth = float(top.sum() / bottom.sum())
        report(name, draw, truth, options.trials, options.resamples)


if __name__ == "__main__":
    main()
