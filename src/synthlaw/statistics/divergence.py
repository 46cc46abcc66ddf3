"""How far one token distribution is from another: KL, Jensen-Shannon, cross-entropy. In nats.

A token that the training set never showed would make KL infinite, so its distribution is smoothed
first, and the choice shows in the result: small sets owe much of their KL to it. It is therefore
always named, and `SMOOTHINGS` holds those that the tables compare. The test set's distribution is
never smoothed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from synthlaw.common.errors import UsageError


@dataclass(frozen=True)
class Smoothing:
    """How unseen tokens get their probability.

    additive: `weight` is added to every count (Lidstone; 1 is Laplace's).
    mixed: a share `weight` of the mass is spread over the vocabulary evenly (Jelinek-Mercer).
    good-turing: the unseen mass (tokens seen once over all tokens) is spread over unseen tokens
    evenly; `weight` is not used. A set without a token seen once counts as having half of one, so
    that no token is impossible.
    """

    kind: Literal["additive", "mixed", "good-turing"]
    weight: float = 0.0

    def __post_init__(self) -> None:
        highest = {"additive": np.inf, "mixed": 1.0, "good-turing": np.inf}
        if self.kind not in highest or not 0 <= self.weight <= highest[self.kind]:
            raise UsageError(
                f"smoothing: found {self.kind!r} with weight {self.weight}; expected 'additive' "
                "(0 or more), 'mixed' (0 to 1) or 'good-turing'"
            )

    @property
    def label(self) -> str:
        """Its name in tables."""
        return self.kind if self.kind == "good-turing" else f"{self.kind} {self.weight:g}"


NO_TOKEN_ONCE = 0.5

GOOD_TURING = Smoothing("good-turing")
SMOOTHINGS = (
    GOOD_TURING,
    Smoothing("additive", 1.0),
    Smoothing("additive", 0.1),
    Smoothing("additive", 0.01),
    Smoothing("mixed", 0.01),
)
"""The first is the default: it takes the unseen mass from the data. The others show how much
depends on that."""


def smoothed(counts: np.ndarray, smoothing: Smoothing) -> np.ndarray:
    """Probabilities over the vocabulary, float64 [vocab]; uniform when nothing was counted."""
    vocab, tokens = len(counts), float(counts.sum())
    if tokens == 0:
        return np.full(vocab, 1 / vocab)
    if smoothing.kind == "additive":
        return (counts + smoothing.weight) / (tokens + smoothing.weight * vocab)
    plain = counts / tokens
    if smoothing.kind == "mixed":
        return (1 - smoothing.weight) * plain + smoothing.weight / vocab
    unseen = counts == 0
    if not unseen.any():
        return plain
    missing = good_turing_mass(counts) or NO_TOKEN_ONCE / tokens
    return np.where(unseen, missing / unseen.sum(), (1 - missing) * plain)


def good_turing_mass(counts: np.ndarray) -> float:
    """Good and Turing's estimate of the unseen mass: tokens seen once over all tokens.

    A sample in which every token is new says only that nearly all is unseen; it gets n / (n + 1).
    """
    tokens, once = int(counts.sum()), int(np.count_nonzero(counts == 1))
    if tokens == 0:
        return 1.0
    return once / tokens if once < tokens else tokens / (tokens + 1)


def entropy(p: np.ndarray) -> float:
    """-sum p log p."""
    some = p[p > 0]
    return float(-np.sum(some * np.log(some)))


def cross_entropy(p: np.ndarray, q: np.ndarray) -> float:
    """-sum p log q; infinite where q misses a token that p has."""
    some = p > 0
    with np.errstate(divide="ignore"):
        return float(-np.sum(p[some] * np.log(q[some])))


def kl_divergence(p: np.ndarray, q: np.ndarray) -> float:
    """sum p log(p / q), p being the test set's distribution and q the training set's."""
    some = p > 0
    with np.errstate(divide="ignore"):
        return float(np.sum(p[some] * np.log(p[some] / q[some])))


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    """Mean divergence of both from their middle; 0 to log 2, and needs no smoothing."""
    middle = (p + q) / 2
    return (kl_divergence(p, middle) + kl_divergence(q, middle)) / 2
