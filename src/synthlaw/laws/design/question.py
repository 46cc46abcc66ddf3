"""What is asked of a study, and how far the runs so far answer it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.laws.design.emulator import Emulator

Array = NDArray[np.float64]

DRAWS = 4000


@dataclass(frozen=True)
class Question:
    """Which type and share have the lowest loss at params and tokens?

    within: half the width, in share, of the interval that counts as an answer. level: how sure.
    targets: numbers of the points that may be the answer.
    """

    params: float
    tokens: float
    targets: Sequence[int]
    within: float = 0.05
    level: float = 0.9


@dataclass(frozen=True)
class Answer:
    """The answer so far.

    kind, share: of the lowest expected loss. probability: that no other type has a lower loss at
    its best share. share_interval: of the best share of that type. loss: expected, in nats per
    token. settled: whether probability and interval are what was asked for. weights: probability
    of each target to be the best of all.
    """

    kind: str
    share: float
    probability: float
    share_interval: tuple[float, float]
    loss: float
    settled: bool
    weights: Array = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "synthetic_type": self.kind,
            "share": self.share,
            "probability": self.probability,
            "share_interval": list(self.share_interval),
            "loss": self.loss,
            "settled": self.settled,
        }


def answer(emulator: Emulator, question: Question, seed: int) -> Answer:
    """What the runs so far say, by draws from the posterior."""
    points = [emulator.points[number] for number in question.targets]
    mean, slopes = at_target(emulator, question)
    spread = slopes @ emulator.covariance @ slopes.T
    values, vectors = np.linalg.eigh((spread + spread.T) / 2)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    noise = np.random.default_rng(seed).standard_normal((DRAWS, len(points)))
    drawn = mean + noise @ root.T
    best = np.argmin(drawn, axis=1)
    kinds = np.array([point.kind if point.share > 0 else "" for point in points])
    shares = np.array([point.share for point in points])
    chosen = int(np.argmin(mean))
    kind = str(kinds[chosen])
    own = np.flatnonzero(kinds == kind)
    of_kind = own[np.argmin(drawn[:, own], axis=1)]
    tail = (1 - question.level) / 2
    low, high = np.quantile(shares[of_kind], [tail, 1 - tail])
    probability = float(np.mean(kinds[best] == kind))
    share = float(shares[chosen])
    near = max(share - low, high - share) <= question.within + 1e-9
    return Answer(
        kind or "natural",
        share,
        probability,
        (float(low), float(high)),
        float(np.exp(mean[chosen])),
        bool(probability >= question.level and near),
        np.bincount(best, minlength=len(points)) / DRAWS,
    )


def at_target(emulator: Emulator, question: Question) -> tuple[Array, Array]:
    """Expected ln loss of every target, and its derivatives by all coefficients."""
    count = len(question.targets)
    return emulator.log_loss(
        np.array(question.targets, dtype=np.intp),
        np.full(count, question.params),
        np.full(count, question.tokens),
    )
