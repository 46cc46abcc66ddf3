"""Mixture laws over several sources: ranks on RegMix's tables, coverage of the optimum, speed.

    python benchmarks/laws_sources.py [FOLDER] [--worlds 200]

FOLDER holds RegMix's tables (arXiv 2407.01492): a law fitted to 512 runs of 1M parameters ranks the
test mixtures at 1M, 60M and 1B by the loss on Pile-CC, beside the published regression. Worlds are
simulated from the additive and from the exponential law with 0.3% noise: how often the interval of
a source's best share holds the true one. Prints a line per figure, each with its CPU seconds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

import synthlaw as sl
from synthlaw.laws.mixtures.forms import MixtureForm
from synthlaw.laws.mixtures.optimum import Bounds, _beginnings, _lowest
from synthlaw.laws.mixtures.reading import read_mixtures

PUBLISHED = {"1m": 98.92, "60m": 98.49, "1B": 96.51}
"""LightGBM's rank correlations on Pile-CC, times 100."""


def regmix(folder: Path) -> None:
    """Rank the held-out mixtures of three sizes."""
    began = time.process_time()
    target = ["*pile_cc_val_loss"]
    laws = sl.fit_sources(
        folder / "train_mixture_1m.csv", "train_*", target,
        join=folder / "train_pile_loss_1m.csv", bootstrap=0,
    )  # fmt: skip
    law = laws.laws[0]
    print(f"regmix: form {law.form.name}, {time.process_time() - began:.1f} CPU s")
    for size, published in PUBLISHED.items():
        runs = read_mixtures(
            folder / f"test_mixture_{size}.csv", "train_*", target,
            join=folder / f"test_pile_loss_{size}.csv",
        )  # fmt: skip
        (loss,) = runs.losses.values()
        rank = 100 * float(spearmanr(law.predict(runs.shares), loss)[0])
        print(f"regmix {size}: Spearman {rank:.2f}, published {published}")


def coverage(name: str, worlds: int, sources: int = 4, count: int = 120) -> None:
    """How often the 90% interval of a best share holds the true one."""
    began = time.process_time()
    inner, edge, gaps = [], [], []
    for world in range(worlds):
        generator = np.random.default_rng([world, len(name)])
        form = MixtureForm(name, sources)
        theta = np.zeros(form.count)
        theta[0] = np.log(2.0)
        theta[1 : 1 + sources] = generator.uniform(-1, 1, sources)
        theta[1 + sources :] = np.log(generator.uniform(0.2, 0.7, form.count - 1 - sources))
        shares = generator.dirichlet(np.ones(sources), count)
        clean = form.evaluate(theta, shares, {})[0]
        noisy = clean * np.exp(0.003 * generator.standard_normal(count))
        top = shares.max(axis=0)
        bounds = Bounds(np.zeros(sources), top)
        true = _lowest(
            lambda w, f=form, t=theta: f.evaluate(t, np.atleast_2d(w), {})[0],
            bounds, _beginnings(bounds),
        )  # fmt: skip
        rows = [
            {**{f"w_{j}": w[j] for j in range(sources)}, "loss": loss}
            for w, loss in zip(shares, noisy, strict=True)
        ]
        best = sl.fit_sources(rows, "w_*", bootstrap=100, seed=world).best()
        for j, share in enumerate(best["shares"].values()):
            low, high = share["interval"]
            inside = low - 1e-4 <= true[j] <= high + 1e-4
            (inner if 1e-3 < true[j] < top[j] - 1e-3 else edge).append(inside)
            gaps.append(abs(share["share"] - true[j]))
    spent = time.process_time() - began
    for label, held in (("inside", inner), ("at a bound", edge)):
        if held:
            print(f"{name}: best share {label}, coverage {np.mean(held):.1%} of {len(held)}")
    print(f"{name}: median distance {np.median(gaps):.3f}, {spent:.0f} CPU s, {worlds} worlds")


def speed() -> None:
    """2,500 runs of eight sources, eight losses, with intervals."""
    generator = np.random.default_rng(0)
    shares = generator.dirichlet(np.ones(8), 2500)
    rows = [{f"w_{j}": w[j] for j in range(8)} for w in shares]
    for k in range(8):
        loss = 2 + 1 / (shares**0.4 @ generator.uniform(0.2, 1, 8))
        loss = loss * np.exp(0.003 * generator.standard_normal(2500))
        for row, value in zip(rows, loss, strict=True):
            row[f"loss_{k}"] = value
    began = time.process_time()
    laws = sl.fit_sources(rows, "w_*", ["loss_*"])
    fitted = time.process_time()
    laws.best()
    print(f"2,500 x 8: fits {fitted - began:.0f} CPU s, best {time.process_time() - fitted:.0f}")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--worlds", type=int, default=200)
    given = parser.parse_args()
    if given.folder:
        regmix(given.folder)
    speed()
    for name in ("additive", "exponential") if given.worlds else ():
        coverage(name, given.worlds)


if __name__ == "__main__":
    main()
