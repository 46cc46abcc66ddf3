"""Weights from repeated seeds: settings whose runs scatter more count for less."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synthlaw.laws.table import Runs

Array = NDArray[np.float64]

PRIOR_DEGREES = 4.0
"""Degrees of freedom that the pooled variance counts for beside a setting's own: with two or
three seeds a setting's own variance is nearly noise (Smyth 2004 shrinks the same way)."""


def seed_weights(runs: Runs) -> Array:
    """Weight per run: pooled variance over the setting's shrunken variance, mean 1.

    Variances are of log loss between runs that agree in every number and in the mixture. All
    weights are 1 when no setting repeats.
    """
    count = len(runs)
    keys: dict[tuple, list[int]] = {}
    mixtures = runs.texts.get("mixture", np.full(count, ""))
    columns = [np.nan_to_num(v, nan=-1.0) for v in runs.inputs().values()]
    for i in range(count):
        keys.setdefault((mixtures[i], *(c[i] for c in columns)), []).append(i)
    log = np.log(runs.loss)
    total, degrees = 0.0, 0
    for members in keys.values():
        total += float(((log[members] - log[members].mean()) ** 2).sum())
        degrees += len(members) - 1
    weights = np.ones(count)
    if degrees < 2 or total <= 0:
        return weights
    pooled = total / degrees
    for members in keys.values():
        own = float(((log[members] - log[members].mean()) ** 2).sum())
        variance = (PRIOR_DEGREES * pooled + own) / (PRIOR_DEGREES + len(members) - 1)
        weights[members] = pooled / variance
    result: Array = weights * (count / weights.sum())
    return result
