"""Whether residuals are noise, or the shape of what the form does not follow.

Noise knows nothing of its neighbours. Where the losses bend otherwise than the form, runs that lie
next to each other err alike, and the residuals' spread is no measure of the noise between runs.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from synthlaw.laws.fit.fitting import FitProblem, Solution
from synthlaw.laws.fit.uncertainty import noise_of
from synthlaw.laws.lawfit import Caution
from synthlaw.laws.table import Runs

Array = NDArray[np.float64]

LEAST_PAIRS, LEAST_DEGREES = 8, 4
"""Fewer neighbours, or degrees of freedom, tell nothing."""

SURELY = 2.6
"""Standard errors of a correlation that is no chance: one time in two hundred."""


def neighbours(runs: Runs, names: list[str]) -> list[tuple[int, int]]:
    """Pairs of runs next to each other in one size, the others being equal; where no two runs agree
    in a size, in the order of their product."""
    columns = [runs.numbers[name] for name in names]
    pairs = set()
    for along in range(len(names)):
        others = [column for place, column in enumerate(columns) if place != along]
        order = np.lexsort([columns[along], *others])
        for first, second in itertools.pairwise(order):
            if all(column[first] == column[second] for column in others):
                pairs.add((int(first), int(second)))
    if len(names) > 1 and len(pairs) < LEAST_PAIRS:
        order = np.argsort(sum(np.log(column) for column in columns), kind="stable")
        pairs = {(int(a), int(b)) for a, b in itertools.pairwise(order)}
    return sorted(pairs)


def local_noise(fit: FitProblem, solution: Solution, runs: Runs) -> float:
    """Relative spread between runs: of the residuals, or of their differences between neighbours
    where these are smaller, since what neighbours share is no noise."""
    scale = 1.0 if fit.objective.log else float(np.mean(fit.observed))
    noise, degrees = noise_of(fit, solution)
    pairs = neighbours(runs, sizes_of(fit))
    if degrees < LEAST_DEGREES or len(pairs) < LEAST_PAIRS:
        return noise / scale
    first, second = np.array(pairs).T
    differences = solution.residuals[first] - solution.residuals[second]
    return min(noise, math.sqrt(float(np.mean(differences**2)) / 2)) / scale


def sizes_of(fit: FitProblem) -> list[str]:
    """The sizes that the form reads."""
    return [name for name in fit.form.inputs if name in ("params", "tokens", "ratio")]


def misfit(fit: FitProblem, solution: Solution, runs: Runs) -> list[Caution]:
    """The warning `form-misfit`, when neighbouring runs err alike."""
    _, degrees = noise_of(fit, solution)
    pairs = neighbours(runs, sizes_of(fit))
    spread = float(np.mean(solution.residuals**2))
    if degrees < LEAST_DEGREES or len(pairs) < LEAST_PAIRS or spread <= 0:
        return []
    # A run far off is one run, not a shape.
    bound = 3 * 1.4826 * float(np.median(np.abs(solution.residuals)))
    residuals = np.clip(solution.residuals, -bound, bound)
    if not residuals.any():
        return []
    first, second = np.array(pairs).T
    alike = float(np.mean(residuals[first] * residuals[second]) / np.mean(residuals**2))
    if alike * math.sqrt(len(pairs)) < SURELY:
        return []
    return [
        Caution(
            "form-misfit",
            f"neighbouring runs err alike (correlation {alike:.2f} over {len(pairs)} pairs, errors "
            f"of {math.sqrt(spread):.2%}): the form does not follow these losses, and what it says "
            "beyond them is in doubt",
        )
    ]
