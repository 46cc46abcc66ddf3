"""How well each joint form foretells larger runs of published tables, without intervals.

    python benchmarks/laws_forms.py DATA

Tables, losses and cuts in compute as in laws_distance.py (at most four cuts a loss); every form is
fitted to the runs below a cut and predicts those of 1.9 to 32 times its compute. Prints the median
and mean |relative error| by distance.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import laws_distance as tables
from synthlaw.common.errors import UsageError
from synthlaw.laws.api import fit_laws
from synthlaw.laws.fit.form_choice import CANDIDATES
from synthlaw.laws.table import RunsTable

MOST_CUTS, NEAR, FAR = 4, 1.9, 32.0


def cuts_of(rows: tables.Rows) -> list[float]:
    """Compute below which runs are fitted."""
    spent = sorted({tables.compute(row) for row in rows})
    cuts = [spent[i] for i in sorted(set(np.linspace(4, len(spent) - 2, 20).astype(int)))]
    usable = [c for c in cuts if tables._carries([r for r in rows if tables.compute(r) <= c])]
    return tables._spread(usable, MOST_CUTS) if usable else []


def errors_of(rows: tables.Rows, cut: float) -> list[dict[str, Any]]:
    """|Relative error| of every form at every run foretold; none where a form is not carried."""
    beyond = [row for row in rows if NEAR < tables.compute(row) / cut < FAR]
    table = RunsTable.from_rows([row for row in rows if tables.compute(row) <= cut])
    found: list[dict[str, Any]] = [{"distance": tables.compute(row) / cut} for row in beyond]
    for form in CANDIDATES:
        try:
            law = fit_laws(table, "joint", form=form, bootstrap=0)[0]
        except UsageError:
            return []
        for one, row in zip(found, beyond, strict=True):
            told = law.predict(params=row["params"], tokens=row["tokens"])[0]
            one[form] = abs(told / row["loss"] - 1)
    return found


if __name__ == "__main__":
    made = [
        one
        for _, rows in tables.tables(Path(sys.argv[1]))
        for cut in cuts_of(rows)
        for one in errors_of(rows, cut)
    ]
    frame = pd.DataFrame(made)
    bins = frame.groupby(pd.cut(frame.pop("distance"), [NEAR, 3, 6, 12, FAR]), observed=True)
    print(bins.size().to_string(), bins.median().round(4), bins.mean().round(4), sep="\n")
