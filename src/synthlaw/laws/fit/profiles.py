"""Profile intervals: the values of a coefficient that the runs do not reject.

A coefficient is held at a value, all others are fitted again, and the rise of the objective is
compared with what noise alone would cause. For an M-estimate twice the rise, divided by
tau = mean(rho'^2) / mean(rho''), is nearly chi-squared with one degree of freedom (Hampel et al.
1986, section 7.2); Student's quantile stands in for the normal one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from synthlaw.laws.fit.fitting import FitProblem, Solution, coefficient_vectors
from synthlaw.laws.fit.solver import minimise_gradually
from synthlaw.laws.fit.uncertainty import noise_of

Array = NDArray[np.float64]

_ROUNDS = 40


def rise_allowed(fit: FitProblem, solution: Solution, level: float) -> float:
    """How far the objective may rise above its minimum before a value is rejected.

    rho'' is averaged over normal noise of the residuals' spread, because with a thin quadratic
    zone the handful of residuals inside it says little.
    """
    from scipy.special import stdtrit

    noise, degrees = noise_of(fit, solution)
    delta = fit.objective.delta
    if degrees > 0:
        first, _, _ = fit.objective.slopes(solution.residuals)
        square = float((fit.weights * first**2).sum()) / degrees
        quantile = float(stdtrit(degrees, 0.5 + level / 2))
    else:
        draws = noise * np.random.default_rng(0).standard_normal(4096)
        square = float(np.mean(fit.objective.slopes(draws)[0] ** 2))
        quantile = float(stdtrit(1, 0.5 + level / 2))
    inside = 1.0 if math.isinf(delta) else math.erf(delta / (max(noise, 1e-12) * math.sqrt(2)))
    curvature = inside * 0.5 * (1 + fit.objective.over)
    return 0.5 * quantile**2 * square / max(curvature, 1e-12)


def profile_interval(
    fit: FitProblem, solution: Solution, name: str, level: float
) -> tuple[float, float]:
    """Interval of coefficient `name`, for sizes in the fit's unit.

    An end that is not reached within the coefficient's bounds is the bound itself: 0 for a linear
    coefficient, infinity above it.
    """
    allowed = rise_allowed(fit, solution, level)
    centre = solution.coefficients(fit.unit)
    names = list(centre)
    index = names.index(name)
    lower, upper = fit.limits()
    noise, _ = noise_of(fit, solution)

    def walker() -> Callable[[float], float]:
        start = np.array(list(centre.values()))

        def rise(value: float) -> float:
            held = replace(fit, fixed={**fit.fixed, name: value})
            z = _relative(held, start)
            with np.errstate(all="ignore"):
                z, found, _ = minimise_gradually(held.problem(), z, noise, steps=60, tolerance=1e-8)
            start[:] = coefficient_vectors(fit.form, z, held.reference, fit.unit)[0]
            return float(found[0]) - solution.value

        return rise

    ends = [
        _end(walker(), centre[name], float(bound), allowed, sign)
        for bound, sign in ((lower[index], -1.0), (upper[index], 1.0))
    ]
    return ends[0], ends[1]


def _relative(fit: FitProblem, coefficients: Array) -> Array:
    """z [1, K + P] of coefficients given in the fit's unit."""
    K = len(fit.form.linear)
    shape = coefficients[None, K:]
    factors = fit.form.scale(shape, fit.reference, fit.unit)
    return np.concatenate([coefficients[None, :K] / factors, shape], axis=1)


def _end(
    rise: Callable[[float], float], centre: float, bound: float, allowed: float, sign: float
) -> float:
    """Walk from `centre` towards `bound` until the rise exceeds `allowed`; then bisect."""
    inner, step = centre, 0.02 * max(abs(centre), 1e-6)
    outer = None
    for _ in range(_ROUNDS):
        value = inner + sign * step
        if sign * value >= sign * bound:
            value = bound
        if rise(value) > allowed:
            outer = value
            break
        if value == bound:
            return bound
        inner, step = value, step * 1.8
    if outer is None:
        return math.copysign(math.inf, sign)
    for _ in range(_ROUNDS):
        middle = 0.5 * (inner + outer)
        if abs(outer - inner) <= 1e-4 * abs(middle):
            break
        if rise(middle) > allowed:
            outer = middle
        else:
            inner = middle
    return 0.5 * (inner + outer)
