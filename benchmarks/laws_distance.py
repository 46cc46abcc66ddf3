"""How often intervals of extrapolations hold the run that was later trained, by distance.

    python benchmarks/laws_distance.py DATA [--form rolling] [--simulated 40 [--coupled]]

Every table of real runs, each loss of it apart: the joint law is fitted to the runs of at most some
compute (6ND), at several cuts, and predicts the runs of 2, 4, 8 and 20 times as much (to 1.6 times
that). For each distance: tables, predictions, the share of runs in the single-run interval and in
the law's, the median error and half-width, that width beside the resampled one alone, and of errors
over 2% how many came with the warning `form-misfit` or one of extrapolation. Every pair of a table
and a distance counts alike, however many runs it has. --simulated: the same of so many worlds that
follow the additive form, where intervals may not be much wider than they must; with --coupled, of
so many that follow E + (N^-a + c D^-b)^k instead. --form: as of `fit`, joint unless said.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synthlaw.common.errors import UsageError
from synthlaw.laws.answer.cautions import doubts_of
from synthlaw.laws.api import fit_laws
from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.table import RunsTable

DISTANCES, WIDTH = (2, 4, 8, 20), 1.6
LEAST_RUNS, LEAST_LEVELS, MOST_CUTS = 10, 3, 6

Rows = list[dict[str, float]]


def tables(folder: Path) -> Iterator[tuple[str, Rows]]:
    """Name and runs (params, tokens, loss) of every loss of every table."""
    yield "chinchilla", _rows(pd.read_csv(folder / "kyo_chinchilla/df.csv"), "N", "D", "loss")
    once = pd.read_csv(folder / "datablations/runs_182.csv").query("D <= U_D * 1.01")
    yield "datablations, one epoch", _rows(once, "N", "D", "loss")
    models = pd.read_csv(folder / "gadre_overtraining/models.csv")
    for name, part in models.groupby("dataset"):
        for column in [c for c in models if c.startswith("loss_")]:
            yield f"gadre {name} {column}", _rows(part, "N", "D", column)
    points = pd.read_csv(folder / "olmo_ladder/step1_points.csv")
    for (metric, task), part in points.groupby(["metric", "task"]):
        # The loss itself stands once for all tasks.
        if metric != "c4" or task == points["task"].iloc[0]:
            yield f"olmo {metric} {task}", _rows(part, "N", "D", "value")
    bench = folder / "scalebench"
    both = [
        pd.read_parquet(bench / f"data_constrained.{part}.parquet") for part in ("train", "test")
    ]
    fresh = pd.concat(both).query("tokens <= unique_tokens * 1.01")
    yield "scalebench, one epoch", _rows(fresh, "params", "tokens", "loss")


def _rows(frame: pd.DataFrame, params: str, tokens: str, loss: str) -> Rows:
    kept = frame[[params, tokens, loss]].dropna().drop_duplicates()
    return [
        {"params": float(n), "tokens": float(d), "loss": float(v)}
        for n, d, v in kept.itertuples(index=False)
        if v > 0
    ]


def worlds(count: int, coupled: bool) -> Iterator[tuple[str, Rows]]:
    """Studies whose losses follow the joint law, or the coupled one, with 0.3% noise."""
    for seed in range(count):
        rng = np.random.default_rng(seed)
        E, alpha, beta = rng.uniform(1.5, 2.2), rng.uniform(0.28, 0.4), rng.uniform(0.28, 0.45)
        A, B = rng.uniform(0.3, 0.7), rng.uniform(0.7, 1.7)
        power = rng.uniform(0.4, 0.8) if coupled else 1.0
        yield (
            f"simulated {seed}",
            [
                {
                    "params": n,
                    "tokens": d,
                    "loss": (E + _excess((A, alpha, n), (B, beta, d), power))
                    * math.exp(0.003 * rng.standard_normal()),
                }
                for n in np.geomspace(5e7, 4e9, 8)
                for d in np.geomspace(1e9, 1e11, 7)
            ],
        )


def _excess(
    size: tuple[float, float, float], data: tuple[float, float, float], power: float
) -> float:
    """Loss above the floor: terms (scale, exponent, count), each root taken and the sum raised."""
    parts = [scale * (count / 1e9) ** -exponent for scale, exponent, count in (size, data)]
    return float(sum(part ** (1 / power) for part in parts) ** power)


def compute(row: dict[str, float]) -> float:
    """FLOPs of training, 6ND."""
    return 6 * row["params"] * row["tokens"]


def predictions(name: str, rows: Rows, form: str) -> Iterator[dict[str, Any]]:
    """Every run at one of the distances beyond one of the cuts, predicted."""
    spent = sorted({compute(row) for row in rows})
    cuts = [spent[i] for i in sorted(set(np.linspace(4, len(spent) - 2, 40).astype(int)))]
    usable = [cut for cut in cuts if _carries([r for r in rows if compute(r) <= cut])]
    for cut in (
        [usable[i] for i in sorted(set(np.linspace(0, len(usable) - 1, MOST_CUTS).astype(int)))]
        if usable
        else []
    ):
        beyond = [
            (row, distance)
            for row in rows
            for distance in DISTANCES
            if distance <= compute(row) / cut < distance * WIDTH
        ]
        if not beyond:
            continue
        law = _law([row for row in rows if compute(row) <= cut], form)
        if law is None:
            continue
        for row, distance in beyond:
            yield {"table": name, "distance": distance, **_predicted(law, row)}


def _spread(values: list[float], count: int) -> list[float]:
    """At most `count` of the values, evenly spread."""
    places = np.linspace(0, len(values) - 1, min(count, len(values))).astype(int)
    return [values[place] for place in sorted(set(places))]


def _carries(rows: Rows) -> bool:
    levels = [len({row[name] for row in rows}) for name in ("params", "tokens")]
    return len(rows) >= LEAST_RUNS and min(levels) >= LEAST_LEVELS


def _law(rows: Rows, form: str) -> LawFit | None:
    try:
        return fit_laws(RunsTable.from_rows(rows), "joint", form=form, bootstrap=400).laws[0]
    except UsageError:
        return None


def _predicted(law: LawFit, row: dict[str, float]) -> dict[str, Any]:
    at = {name: row[name] for name in ("params", "tokens")}
    found = law.prediction(**at)
    plain = law.interval_of(law.predict_replicates(**at)[:, 0])
    error = found["loss"] / row["loss"] - 1
    inside = {
        kind: low <= row["loss"] <= high
        for kind, (low, high) in (("run", found["run_interval"]), ("law", found["interval"]))
    }
    widths = [(high - low) / 2 / found["loss"] for low, high in (found["run_interval"], plain)]
    warned = bool(doubts_of(law, at)) or any(w.code == "form-misfit" for w in law.warnings)
    return {"error": error, **inside, "width": widths[0], "plain": widths[1], "warned": warned}


def summary(found: pd.DataFrame) -> dict[str, Any]:
    """The figures of one distance; every table counts alike."""
    mean = found.groupby("table")[["run", "law"]].mean().mean()
    large = found[found["error"].abs() > 0.02]
    return {
        "tables": found["table"].nunique(),
        "predictions": len(found),
        "held by the run's interval": round(mean["run"], 3),
        "held by the law's": round(mean["law"], 3),
        "median error": round(found["error"].abs().median(), 4),
        "median half-width": round(found["width"].median(), 4),
        "resampled alone": round(found["plain"].median(), 4),
        "errors over 2%": len(large),
        "of these warned": int(large["warned"].sum()),
        "warned in all": round(found["warned"].mean(), 3),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--simulated", type=int, default=0)
    parser.add_argument("--coupled", action="store_true")
    parser.add_argument("--form", default="joint")
    asked = parser.parse_args()
    source = worlds(asked.simulated, asked.coupled) if asked.simulated else tables(asked.folder)
    made = pd.DataFrame(
        [one for name, rows in source for one in predictions(name, rows, asked.form)]
    )
    groups = {f"{d}x": summary(part) for d, part in made.groupby("distance")}
    print(json.dumps({**groups, "all": summary(made)}, indent=1))
    by_table = made.groupby("table").agg(
        n=("run", "size"), held=("run", "mean"), error=("error", "median")
    )
    print(by_table.round(3).to_string())
