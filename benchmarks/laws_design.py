"""Adaptive design in simulated worlds: FLOPs to an answer, and its accuracy, beside the full grid.

    python benchmarks/laws_design.py [--worlds 100] [--noise 0.003] [--show]

A world has the paper's laws of CC and of three types (Tables 4 and 5 joined, the coefficients of
shares between by monotone cubic interpolation), each coefficient moved by up to 10% at random. The
full grid is the paper's grid of shares. The question: type and share with the lowest loss at 3B
parameters and 200B tokens, in steps of 5 points. Adaptive design may run these shares too, in
batches of eight, until it holds the answer for settled or has spent a tenth of the grid's FLOPs.
Both are read by the same emulator. Regret: the loss of what is named over the world's lowest.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from synthlaw.laws.answer.reference import data_laws, model_laws
from synthlaw.laws.design.choosing import Candidates, next_runs
from synthlaw.laws.design.emulator import Emulator, Point, Seen
from synthlaw.laws.design.question import Answer, Question, answer

SIZES = (1.2e8, 2.8e8, 4.6e8, 9e8)
BUDGETS = (1e9, 2e9, 5e9, 10e9, 20e9, 50e9)
SHARES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.5, 1.0)
TARGET_SHARES = tuple(float(share) for share in np.round(np.arange(0, 1.001, 0.05), 2))
TYPES = ("HQ", "QA", "TXBK")
ASKED = (3e9, 200e9)
BATCH = 8
MOST = 0.1
MIDDLE = (float(np.sqrt(SIZES[0] * SIZES[-1])), float(np.sqrt(BUDGETS[0] * BUDGETS[-1])))


class World:
    """Coefficients of every type by share, around the paper's."""

    def __init__(self, seed: int) -> None:
        generator = np.random.default_rng([seed, 16])
        model = {law.mixture: law.coefficients for law in model_laws()}
        moved = {}
        for law in data_laws():
            d, m = law.coefficients, model[law.mixture]
            floor = min(d["E"] - m["A"], m["E"] - d["B"] * 50 ** -d["beta"])
            whole = np.array([floor, m["A"], m["alpha"], d["B"], d["beta"]])
            # The floor by a tenth of that: it is most of the loss.
            step = generator.uniform(-0.1, 0.1, 5) * [0.1, 1, 1, 1, 1]
            moved[law.mixture] = whole * np.exp(step)
        self._curves = {}
        for kind in TYPES:
            rows = [moved["CC"], moved[f"33{kind}"], moved[f"67{kind}"], moved[kind]]
            self._curves[kind] = PchipInterpolator([0, 0.33, 0.67, 1], np.log(rows))

    def loss(self, point: Point, params: float, tokens: float) -> float:
        """Nats per token, without noise."""
        e, a, alpha, b, beta = np.exp(self._curves[point.kind](point.share))
        return float(e + a * (params / 1e9) ** -alpha + b * (tokens / 1e9) ** -beta)


@dataclass(frozen=True)
class Setting:
    """What all worlds share. grid: the candidates that the full grid trains."""

    points: list[Point]
    candidates: Candidates
    grid: list[int]
    question: Question
    noise: float

    @property
    def whole(self) -> float:
        """FLOPs of the full grid."""
        return float(self.candidates.cost[self.grid].sum())


def setting(noise: float) -> Setting:
    """The points, every run that may be trained, and the question."""
    shares = sorted({*SHARES, *TARGET_SHARES[1:]})
    points = [Point(TYPES[0], 0.0), *(Point(kind, s) for kind in TYPES for s in shares)]
    rows = [(i, n, d) for i in range(len(points)) for n in SIZES for d in BUDGETS]
    number, n, d = (np.array(column) for column in zip(*rows, strict=True))
    grid = [k for k, i in enumerate(number) if points[i].share in (0.0, *SHARES)]
    targets = [i for i, p in enumerate(points) if p.share in TARGET_SHARES]
    return Setting(
        points, Candidates(number, n, d, 6 * n * d), grid, Question(*ASKED, targets), noise
    )


class Trial:
    """One world, with the losses that its runs would show."""

    def __init__(self, seed: int, given: Setting) -> None:
        self.seed, self.given, self.world = seed, given, World(seed)
        options = given.candidates
        rows = zip(options.point, options.params, options.tokens, strict=True)
        clean = np.array([self.world.loss(given.points[i], n, d) for i, n, d in rows])
        noise = np.random.default_rng([seed, 3]).standard_normal(len(clean))
        self.losses = clean * np.exp(given.noise * noise)
        found = {i: self.world.loss(given.points[i], *ASKED) for i in given.question.targets}
        self.best = given.points[min(found, key=lambda i: found[i])]
        self.lowest = min(found.values())

    def emulator(self, taken: list[int]) -> Emulator:
        """Given the losses of some runs."""
        at, options = np.array(taken, dtype=np.intp), self.given.candidates
        seen = Seen(options.point[at], options.params[at], options.tokens[at], self.losses[at])
        return Emulator(self.given.points, seen, MIDDLE, self.given.noise)

    def adaptive(self) -> tuple[Answer, float, int]:
        """The answer, FLOPs over the grid's, runs."""
        taken: list[int] = []
        while True:
            spent = float(self.given.candidates.cost[taken].sum()) / self.given.whole
            state = self.emulator(taken)
            found = answer(state, self.given.question, self.seed)
            if (taken and found.settled) or spent >= MOST:
                return found, spent, len(taken)
            chosen = next_runs(
                state, self.given.question, found, self.given.candidates, BATCH, taken=taken,
                most=(MOST - spent) * self.given.whole,
            )  # fmt: skip
            if not chosen:
                return found, spent, len(taken)
            taken += [one.candidate for one in chosen]

    def judged(self, found: Answer) -> list[float]:
        """Right type, share within 5 points, regret in percent, interval holds, settled."""
        kind = TYPES[0] if found.kind == "natural" else found.kind
        named = self.world.loss(Point(kind, found.share), *ASKED)
        low, high = found.share_interval
        true = self.best.kind if self.best.share else "natural"
        return [
            found.kind == true,
            abs(found.share - self.best.share) <= 0.05 + 1e-9,
            100 * (named / self.lowest - 1),
            low - 1e-9 <= self.best.share <= high + 1e-9,
            found.settled,
        ]


def main() -> None:
    """Run the worlds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--worlds", type=int, default=100)
    parser.add_argument("--noise", type=float, default=0.003)
    parser.add_argument("--show", action="store_true", help="A line per world.")
    asked = parser.parse_args()
    given = setting(asked.noise)
    costs, adaptive, full = [], [], []
    for seed in range(asked.worlds):
        trial = Trial(seed, given)
        found, spent, runs = trial.adaptive()
        whole = answer(trial.emulator(given.grid), given.question, seed)
        costs.append((spent, runs))
        adaptive.append(trial.judged(found))
        full.append(trial.judged(whole))
        if asked.show:
            named = (found.kind, found.share, whole.kind, whole.share)
            print(seed, trial.best, *named, f"{spent:.2%}", flush=True)
    shares, runs = np.array(costs).T
    print(f"grid: {len(given.grid)} runs, {given.whole:.3g} FLOP; {asked.worlds} worlds")
    ends = [f"{cost:.2%}" for cost in np.quantile(shares, [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1])]
    print(f"FLOPs of the grid's, quantiles 0 10 25 50 75 90 100%: {' '.join(ends)}")
    print(f"runs, median: {np.median(runs):.0f}")
    for name, rows in (("adaptive", adaptive), ("grid", full)):
        kind, near, regret, holds, settled = np.array(rows, dtype=float).T
        both = kind * near
        print(
            f"{name}: type {kind.mean():.0%}, share {near.mean():.0%}, both {both.mean():.0%}, "
            f"regret mean {regret.mean():.3f}% median {np.median(regret):.3f}% max "
            f"{regret.max():.2f}%, interval of the share holds {holds.mean():.0%}, settled "
            f"{settled.mean():.0%}, of these both right {both[settled > 0].mean():.0%}"
        )
    gap = np.array(adaptive, dtype=float)[:, 2] - np.array(full, dtype=float)[:, 2]
    print(f"regret at most the grid's + 0.1 points: {(gap <= 0.1).mean():.0%} of worlds")


if __name__ == "__main__":
    main()
