"""How well a law predicts runs that it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.table import Runs

Array = NDArray[np.bool_]

MOST_CUTS = 12
"""Rolling extrapolation refits at most so often."""


def score(law: LawFit, runs: Runs) -> dict[str, Any]:
    """RMABE (mean of |predicted - observed| / observed) and each run's signed relative error.

    The name is the paper's: relative mean absolute error of predictions on held-out runs.
    """
    predicted = law.predict(**{name: runs.numbers[name] for name in law.form.inputs})
    errors = (predicted - runs.loss) / runs.loss
    rows = []
    for i in range(len(runs)):
        row: dict[str, Any] = {"row": int(runs.lines[i])}
        if "run" in runs.texts:
            row["run"] = str(runs.texts["run"][i])
        row |= {name: float(runs.numbers[name][i]) for name in law.form.inputs}
        row |= {
            "observed": float(runs.loss[i]),
            "predicted": float(predicted[i]),
            "error": float(errors[i]),
        }
        rows.append(row)
    rmabe = float(np.mean(np.abs(errors))) if rows else None
    return {"points": len(rows), "rmabe": rmabe, "rows": rows}


def rolling(
    runs: Runs,
    variable: str,
    fit: Callable[[Array], list[LawFit | None]],
    cuts: int = MOST_CUTS,
    from_level: int = 0,
) -> list[dict[str, Any]]:
    """Fit the runs up to each size in turn, the first after `from_level` ones, and score beyond it.

    variable: tokens or params. fit: gives laws for parts of the runs (rows of [M, points] that are
    true for a run that is fitted), or None where these are too few.
    Each entry holds the size fitted to, RMABE beyond it and, run by run, the error against the
    distance ln(size / fitted_to). At most `cuts` sizes are tried, evenly spread over the runs.
    """
    values = runs.numbers[variable]
    sizes = np.unique(values)[from_level:-1]
    if len(sizes) > cuts:
        sizes = sizes[np.unique(np.linspace(0, len(sizes) - 1, cuts).astype(int))]
    found = []
    for size, law in zip(sizes, fit(values <= sizes[:, None]), strict=True):
        if law is None:
            continue
        beyond = runs.where(values > size)
        scored = score(law, beyond)
        distances = np.log(beyond.numbers[variable] / size)
        found.append(
            {
                "variable": variable,
                "fitted_to": float(size),
                "points": len(beyond),
                "rmabe": scored["rmabe"],
                "farthest_factor": float(np.exp(distances.max())),
                "rows": [
                    {"distance": float(d), "error": row["error"]}
                    for d, row in zip(distances, scored["rows"], strict=True)
                ],
            }
        )
    return found


def error_by_distance(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean absolute relative error of rolling extrapolation by distance, a factor of two a bin."""
    rows = [row for entry in entries for row in entry["rows"]]
    bins: dict[int, list[float]] = {}
    for row in rows:
        bins.setdefault(int(row["distance"] / np.log(2)), []).append(abs(row["error"]))
    return [
        {
            "factor_from": 2.0**k,
            "factor_to": 2.0 ** (k + 1),
            "points": len(errors),
            "rmabe": float(np.mean(errors)),
            "worst": float(np.max(errors)),
        }
        for k, errors in sorted(bins.items())
    ]
