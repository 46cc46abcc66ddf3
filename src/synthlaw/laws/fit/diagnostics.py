"""Coded warnings about a fit: what its numbers rest on, and which of them mean little."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synthlaw.laws.fit.fitting import FitProblem, Solution, coefficient_vectors
from synthlaw.laws.fit.misfit import misfit
from synthlaw.laws.fit.uncertainty import ASSUMED_NOISE, refit
from synthlaw.laws.forms.power import EXPONENT_BOUNDS
from synthlaw.laws.lawfit import Caution, LawFit
from synthlaw.laws.table import Runs

Array = NDArray[np.float64]

WEAK_FACTOR = 2.0
"""An exponent or scale whose interval spans more than this factor is weakly identified."""

LEVELS_NEEDED = 4
"""Distinct values of a size that an exponent and a floor need to be told apart with a check."""


def cautions(fit: FitProblem, solution: Solution, law: LawFit, runs: Runs) -> list[Caution]:
    """Every warning that applies to a fit, most serious first."""
    found = [
        *misfit(fit, solution, runs),
        *_support(fit, law, runs),
        *_bounds(fit, solution),
        *_weak(fit, law),
        *influence(fit, solution, law, runs),
        *_floor(law),
    ]
    if not solution.converged:
        found.append(Caution("not-converged", "the optimiser stopped before its tolerance"))
    return found


def _support(fit: FitProblem, law: LawFit, runs: Runs) -> list[Caution]:
    found = []
    if law.degrees < 1:
        found.append(
            Caution(
                "no-degrees-of-freedom",
                f"{law.points} points for {fit.free} coefficients: the curve passes through every "
                f"point, and intervals assume {ASSUMED_NOISE:.0%} noise",
            )
        )
    elif law.degrees < fit.free:
        found.append(
            Caution(
                "few-points",
                f"{law.points} points for {fit.free} coefficients leave {law.degrees} degrees of "
                "freedom; expect wide intervals",
            )
        )
    for name in fit.form.inputs:
        levels = len(np.unique(runs.numbers[name]))
        if name == "ratio":
            found += _shares(levels)
        elif levels < LEVELS_NEEDED:
            found.append(
                Caution(
                    "few-levels",
                    f"{name} takes {levels} distinct values; at least {LEVELS_NEEDED} are needed "
                    "for an exponent and a floor with a check",
                )
            )
    return found


def _shares(levels: int) -> list[Caution]:
    if levels >= LEVELS_NEEDED:
        return []
    return [
        Caution(
            "few-shares",
            f"the runs have {levels} distinct shares; a best share between them is a guess, and "
            "the only ones compared are those tried",
        )
    ]


def _bounds(fit: FitProblem, solution: Solution) -> list[Caution]:
    lower, upper = fit.limits()
    names = [*fit.form.linear, *fit.form.shape]
    found = []
    for i, name in enumerate(names):
        if name in fit.fixed:
            continue
        if solution.z[i] <= lower[i] or solution.z[i] >= upper[i]:
            edge = lower[i] if solution.z[i] <= lower[i] else upper[i]
            found.append(Caution("at-bound", f"{name} sits on its bound {edge:g}"))
    return found


def _weak(fit: FitProblem, law: LawFit) -> list[Caution]:
    """Coefficients whose interval says little. A scale such as A moves with its exponent, so only
    exponents, other shape parameters and floors are judged."""
    found = []
    floors = [name for name in fit.form.linear if name == "E"]
    # What may have either sign is near zero where a simpler law would do.
    signed = {n for n, low in zip(fit.form.shape, fit.form.bounds[:, 0], strict=True) if low < 0}
    for name in [*floors, *[n for n in fit.form.shape if n not in signed]]:
        if name not in law.intervals or name in fit.fixed:
            continue
        low, high = law.intervals[name]
        text = f"{name} = {law.coefficients[name]:.4g} [{low:.4g}, {high:.4g}]"
        weak = high > WEAK_FACTOR * max(low, 0.0)
        if name in fit.form.shape and fit.form.bounds[0, 0] == EXPONENT_BOUNDS[0]:
            weak = weak or low <= 1.01 * EXPONENT_BOUNDS[0] or high >= 0.99 * EXPONENT_BOUNDS[1]
        if weak:
            found.append(
                Caution(
                    "weakly-identified",
                    f"the runs hardly determine {text}; do not read anything into its value",
                )
            )
    return found


def influence(fit: FitProblem, solution: Solution, law: LawFit, runs: Runs) -> list[Caution]:
    """Runs whose removal moves a floor or an exponent by more than its standard error
    (by more than that when coefficients are many for the runs).

    With n runs each is removed in turn (all n refits in one batch); the standard error is read
    from the interval.
    """
    points = len(fit.observed)
    if law.degrees < 2 or points > 1000:
        return []
    weights = np.repeat(fit.weights[None], points, axis=0)
    np.fill_diagonal(weights, 0.0)
    start = np.repeat(solution.z[None], points, axis=0)
    z = refit(fit.problem(weights=weights), start, law.noise)
    vectors = coefficient_vectors(fit.form, z, fit.reference, law.unit_of(fit.form.inputs))
    # In a small fit every run moves something: the mark grows with coefficients per spare run.
    limit = max(1.0, 2.0 * float(np.sqrt(fit.free / law.degrees)))
    names = list(law.coefficients)
    judged = [n for n in names if n in fit.form.shape or n == "E"]
    found: dict[int, list[str]] = {}
    for name in judged:
        if name not in law.intervals:
            continue
        low, high = law.intervals[name]
        error = max((high - low) / 3.29, 1e-12)
        shift = (vectors[:, names.index(name)] - law.coefficients[name]) / error
        for i in np.flatnonzero(np.abs(shift) > limit):
            found.setdefault(int(i), []).append(f"{name} by {shift[i]:+.1f} standard errors")
    if not found:
        return []
    worst = sorted(found, key=lambda i: -len(found[i]))[:5]
    text = "; ".join(f"line {runs.lines[i]} moves {', '.join(found[i])}" for i in worst)
    return [Caution("influential-points", f"{len(found)} of {points} runs carry the fit: {text}")]


def _floor(law: LawFit) -> list[Caution]:
    if law.law not in ("data", "model"):
        return []
    other, held = ("model-size", "params") if law.law == "data" else ("data", "tokens")
    where = f" at {held} = {law.at[held]:.4g} units" if held in law.at else ""
    return [
        Caution(
            "floor-contains-other-term",
            f"E{where} contains the {other} term: it is not the irreducible loss",
        )
    ]
