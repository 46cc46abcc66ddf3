"""How well a law predicts runs that it has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.table import Runs


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
