"""The next runs: those that shrink the answer's uncertainty most per FLOP.

The uncertainty of an answer is that of the differences in ln loss between the best mixture and
every other at the question's size, each weighted by its probability to be the best. A run with
derivatives h makes the variance of a difference with derivatives g smaller by

    (g' S h)^2 / (noise^2 + h' S h),   S the coefficients' covariance,

whatever loss it will show. Runs are taken one by one, S made smaller by each, so a batch does not
ask the same thing twice. The peer is arXiv 2604.22753, which weighs the predictions' uncertainty
in a target region by cost; here it is the uncertainty of a decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthlaw.laws.design.emulator import Emulator
from synthlaw.laws.design.question import Answer, Question, at_target

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Candidates:
    """Runs that may be trained: the number of their point, sizes and costs (FLOP), each [n]."""

    point: NDArray[np.intp]
    params: Array
    tokens: Array
    cost: Array

    def __len__(self) -> int:
        return len(self.cost)


@dataclass(frozen=True)
class Choice:
    """A candidate by number, and what it is expected to do.

    gain: the part of the answer's variance that it takes away.
    """

    candidate: int
    gain: float


def next_runs(
    emulator: Emulator,
    question: Question,
    known: Answer,
    candidates: Candidates,
    count: int,
    *,
    taken: Sequence[int] = (),
    most: float = np.inf,
) -> list[Choice]:
    """Up to `count` candidates, the most telling per FLOP first, none of them in `taken`.

    most: FLOPs that all of them together may take. Fewer are chosen when what is left is too dear,
    or would tell nothing.
    """
    _, slopes = at_target(emulator, question)
    leader = int(np.argmax(known.weights))
    differences = slopes - slopes[leader]
    # Even what has no draw on its side keeps a little weight: draws are few and priors are rough.
    weights = known.weights + 0.1 / len(known.weights)
    _, runs = emulator.log_loss(candidates.point, candidates.params, candidates.tokens)
    covariance = emulator.covariance
    across = differences @ covariance @ runs.T  # [targets, candidates]
    between = runs @ covariance @ runs.T  # [candidates, candidates]
    whole = float(weights @ np.einsum("ij,jk,ik->i", differences, covariance, differences))
    free = np.ones(len(candidates), dtype=bool)
    free[list(taken)] = False
    spent = 0.0
    found: list[Choice] = []
    while len(found) < count:
        variance = emulator.noise**2 + np.maximum(np.diag(between), 0.0)
        gains = (weights @ across**2) / variance
        allowed = free & (candidates.cost <= most - spent) & (gains > 0)
        if not allowed.any():
            break
        best = int(np.argmax(np.where(allowed, gains / candidates.cost, -np.inf)))
        found.append(Choice(best, float(gains[best] / whole)))
        spent += float(candidates.cost[best])
        free[best] = False
        across = across - np.outer(across[:, best], between[best]) / variance[best]
        between = between - np.outer(between[:, best], between[best]) / variance[best]
    return found
