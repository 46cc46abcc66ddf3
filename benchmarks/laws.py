"""How fast is a fit? One joint fit, its bootstrap, and the plain many-start code on the same runs.

    python benchmarks/laws.py [--starts 4500] [--json]

Times are of the processor (one thread, so they are wall time on an idle machine). With fewer
--starts than the 4,500 of Hoffmann et al. (arXiv 2203.15556) the plain code's time is scaled up,
and the output says so.
"""

from __future__ import annotations

import argparse
import json
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from laws_starts import STARTS_4500, plain_grid
from synthlaw.laws.fit.fitting import FitProblem, solve
from synthlaw.laws.fit.objectives import objective_named
from synthlaw.laws.fit.uncertainty import bootstrap
from synthlaw.laws.forms.power import JOINT

POINTS = 240
RESAMPLES = 4000
REPEATS = 20


def simulated() -> FitProblem:
    """240 runs of the law of Hoffmann et al. as Besiroglu et al. (arXiv 2404.10102) refitted it."""
    generator = np.random.default_rng(0)
    params = np.exp(generator.uniform(np.log(5e7), np.log(1.6e10), POINTS))
    tokens = np.exp(generator.uniform(np.log(1e9), np.log(3e11), POINTS))
    loss = 1.8172 + 482.01 * params**-0.3478 + 2085.43 * tokens**-0.3658
    loss *= np.exp(0.003 * generator.standard_normal(POINTS))
    inputs = {"params": params, "tokens": tokens}
    unit = {"params": 1e9, "tokens": 1e9}
    weights = np.ones(POINTS)
    return FitProblem(JOINT, inputs, loss, weights, objective_named("log-huber"), unit, {})


def main() -> None:
    """Time the three and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--starts", type=int, default=len(STARTS_4500))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    problem = simulated()
    solution = solve(problem)
    fits = []
    for _ in range(REPEATS):
        start = time.process_time()
        solve(problem)
        fits.append(time.process_time() - start)
    start = time.process_time()
    bootstrap(problem, solution, RESAMPLES, seed=0, method="runs")
    resampled = time.process_time() - start
    step = max(1, len(STARTS_4500) // max(options.starts, 1))
    starts = STARTS_4500[::step]
    start = time.process_time()
    best, _ = plain_grid(
        problem.inputs["params"], problem.inputs["tokens"], problem.observed, starts
    )
    plain = (time.process_time() - start) * len(STARTS_4500) / len(starts)
    result = {
        "fit_ms_median": 1e3 * float(np.median(fits)),
        "fit_ms_fastest": 1e3 * min(fits),
        "bootstrap_4000_s": resampled,
        "plain_4500_starts_s": plain,
        "plain_starts_run": len(starts),
        "times_faster": plain / float(np.median(fits)),
        "objective": solution.value,
        "plain_objective": best,
    }
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:24s} {value:.6g}")


if __name__ == "__main__":
    main()
