"""Do intervals of nominal 90% cover? Simulated studies, each fitted as a user would fit it.

    python benchmarks/laws_coverage.py joint --repeats 200
    python benchmarks/laws_coverage.py ratio --repeats 200 --truth smooth

`joint` draws runs from known joint laws with 0.3% noise and counts how often the intervals of E,
alpha, beta and of the loss at four times the largest budget hold the truth. `ratio` does the same
for the best synthetic share on the paper's ten-point grid, for three laws of the share: one in
each family that is fitted, and one in neither.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np

from synthlaw.laws.api import fit_laws
from synthlaw.laws.shares import best_ratio
from synthlaw.laws.table import RunsTable

NOISE = 0.003
SHARES = (0, 0.005, 0.01, 0.02, 0.05, 0.10, 0.15, 0.20, 0.50, 1.0)
PARAMS = (2e8, 4e8, 1e9)
TOKENS = (1e9, 5e9, 20e9, 50e9)

JOINTS = (
    {"E": 1.8, "A": 0.45, "B": 0.90, "alpha": 0.34, "beta": 0.30},
    {"E": 2.1, "A": 0.55, "B": 1.75, "alpha": 0.38, "beta": 0.50},
    {"E": 1.5, "A": 0.70, "B": 1.20, "alpha": 0.30, "beta": 0.40},
)


def joint_loss(law: dict[str, float], params: float, tokens: float) -> float:
    """Loss of a joint law in units of 1e9."""
    return (
        law["E"]
        + law["A"] * (params / 1e9) ** -law["alpha"]
        + law["B"] * (tokens / 1e9) ** -law["beta"]
    )


def smooth(r: np.ndarray, n: float, d: float) -> np.ndarray:
    """A law of the smooth family; its best share moves with the tokens."""
    slope = 1.8 + 0.5 * (r - 0.2) ** 2
    return 2.0 + 0.3 * (r - 0.35) ** 2 + 0.5 * n**-0.35 + slope * d**-0.45


def additive(r: np.ndarray, n: float, d: float) -> np.ndarray:
    """A law of the additive family."""
    return 1.5 + 0.55 / ((1 - r) ** 0.6 + 0.45 * r**0.5) + 0.5 * n**-0.35 + 1.8 * d**-0.45


def neither(r: np.ndarray, n: float, d: float) -> np.ndarray:
    """A law of no fitted family: a fast gain that saturates, and a slow loss."""
    floor = 2.0 - 0.12 * (1 - np.exp(-r / 0.15)) + 0.25 * r**1.5
    return floor + 0.5 * n**-0.35 + 1.8 * d**-0.45


TRUTHS: dict[str, Callable[..., np.ndarray]] = {
    "smooth": smooth,
    "additive": additive,
    "neither": neither,
}


def cover_joint(repeats: int, bootstrap: int, sizes: int, budgets: int) -> dict[str, float]:
    """Coverage of E, alpha, beta and the loss at 4x the largest budget, over all JOINTS."""
    hits: dict[str, list[bool]] = {name: [] for name in ("E", "alpha", "beta", "loss_at_4x")}
    params = np.geomspace(1e8, 3e9, sizes)
    tokens = np.geomspace(1e9, 1e11, budgets)
    for i in range(repeats):
        law = JOINTS[i % len(JOINTS)]
        generator = np.random.default_rng(i)
        rows = [
            {
                "params": n,
                "tokens": d,
                "loss": joint_loss(law, n, d) * np.exp(NOISE * generator.standard_normal()),
            }
            for n in params
            for d in tokens
        ]
        fit = fit_laws(RunsTable.from_rows(rows), "joint", bootstrap=bootstrap, seed=i)[0]
        for name in ("E", "alpha", "beta"):
            low, high = fit.intervals[name]
            hits[name].append(low <= law[name] <= high)
        far = fit.prediction(params=params[-1], tokens=4 * tokens[-1])["interval"]
        hits["loss_at_4x"].append(far[0] <= joint_loss(law, params[-1], 4 * tokens[-1]) <= far[1])
    return {name: float(np.mean(values)) for name, values in hits.items()}


def cover_ratio(truth: str, repeats: int, bootstrap: int) -> dict[str, float]:
    """Coverage of the best share at the largest run, and how wide the interval is."""
    law = TRUTHS[truth]
    fine = np.linspace(0, 1, 100001)
    best = float(fine[np.argmin(law(fine, PARAMS[-1] / 1e9, TOKENS[-1] / 1e9))])
    hits, widths, errors = [], [], []
    for i in range(repeats):
        generator = np.random.default_rng(1000 + i)
        rows = []
        for n in PARAMS:
            for d in TOKENS:
                for r in SHARES:
                    loss = float(law(np.array(r), n / 1e9, d / 1e9))
                    noisy = loss * np.exp(NOISE * generator.standard_normal())
                    rows.append({"params": n, "tokens": d, "synthetic_ratio": r, "loss": noisy})
        fit = fit_laws(RunsTable.from_rows(rows), "ratio", bootstrap=bootstrap, seed=i)[0]
        found = best_ratio(fit, params=PARAMS[-1], tokens=TOKENS[-1])
        low, high = found["interval"]
        hits.append(low <= best <= high)
        widths.append(high - low)
        errors.append(found["ratio"] - best)
    return {
        "true_best": best,
        "coverage": float(np.mean(hits)),
        "median_width": float(np.median(widths)),
        "mean_error": float(np.mean(errors)),
        "rms_error": float(np.sqrt(np.mean(np.square(errors)))),
    }


def main() -> None:
    """Run one simulation and print its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("what", choices=["joint", "ratio"])
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--bootstrap", type=int, default=500)
    parser.add_argument("--truth", choices=sorted(TRUTHS), default="smooth")
    parser.add_argument("--sizes", type=int, default=12, help="model sizes of the joint study")
    parser.add_argument("--budgets", type=int, default=20, help="token budgets of the joint study")
    options = parser.parse_args()
    start = time.perf_counter()
    if options.what == "joint":
        result = cover_joint(options.repeats, options.bootstrap, options.sizes, options.budgets)
    else:
        result = cover_ratio(options.truth, options.repeats, options.bootstrap)
    seconds = round(time.perf_counter() - start, 1)
    print(json.dumps({**vars(options), **result, "seconds": seconds}))


if __name__ == "__main__":
    main()
