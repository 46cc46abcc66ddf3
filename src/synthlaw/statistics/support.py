"""How many different tokens a set shows, how that grows, and how much it has not shown yet.

A larger set shows more tokens, so supports are compared at one number of tokens. The expected
number of types in m tokens drawn without replacement follows from the counts alone (rarefaction;
Hurlbert, Ecology 52, 1971). It takes tokens as drawn one by one: real text repeats itself within
a document, so that m tokens of running text show fewer types than the curve says. The curve over
blocks of documents (`types_by_blocks`) does not assume that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln
from scipy.stats import norm

from synthlaw.statistics.divergence import good_turing_mass
from synthlaw.statistics.jackknife import LEVEL

EXACT_TOKENS = 10**8
"""Beyond so many tokens log-gamma differences lose their digits, and draws with replacement are
the same to one in `tokens drawn`."""


@dataclass(frozen=True)
class Support:
    """What one set's counts say of its support.

    types: different tokens seen. once, twice: tokens seen so often. unseen_mass: probability that
    the next token is a new one (Good-Turing), with Esty's interval (Annals of Statistics 11, 1983).
    chao1: lower bound of all types, seen and unseen (Chao 1984, bias-corrected form).
    growth: slope of log types against log tokens at the end of the set, once / types (Heaps).
    """

    tokens: int
    types: int
    once: int
    twice: int
    unseen_mass: float
    unseen_low: float
    unseen_high: float
    chao1: float
    growth: float


def support(counts: np.ndarray) -> Support:
    """Support of a set from its counts [vocab]. An empty set has seen nothing: mass 1, growth 0."""
    tokens = int(counts.sum())
    types = int(np.count_nonzero(counts))
    once, twice = (int(np.count_nonzero(counts == times)) for times in (1, 2))
    mass = good_turing_mass(counts)
    low, high = _esty(tokens, once, twice)
    return Support(
        tokens=tokens,
        types=types,
        once=once,
        twice=twice,
        unseen_mass=mass,
        unseen_low=low,
        unseen_high=high,
        chao1=types + once * (once - 1) / (2 * (twice + 1)),
        growth=once / types if types else 0.0,
    )


def _esty(tokens: int, once: int, twice: int) -> tuple[float, float]:
    """once/n ± z sqrt((once (1 - once/n) + 2 twice)) / n, within 0 to 1."""
    if tokens == 0:
        return 0.0, 1.0
    mass = once / tokens
    reach = float(norm.ppf((1 + LEVEL) / 2)) * np.sqrt(once * (1 - mass) + 2 * twice) / tokens
    return max(0.0, float(mass - reach)), min(1.0, float(mass + reach))


def expected_types(counts: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Expected types in each of `sizes` tokens drawn from the set without replacement, float64.

    A size beyond the set is an extrapolation, and gets NaN.
    """
    values, types = np.unique(counts[counts > 0], return_counts=True)
    total = int(counts.sum())
    return np.array([_types_at(values.astype(np.float64), types, total, m) for m in sizes])


def _types_at(values: np.ndarray, types: np.ndarray, total: int, size: int) -> float:
    if size > total:
        return float("nan")
    return float(np.sum(types * (1 - _missed(values, total, size))))


def _missed(values: np.ndarray, total: int, size: int) -> np.ndarray:
    """Probability that none of `size` draws from `total` tokens is one of `values` given ones."""
    if size == total:
        return np.asarray(values == 0, dtype=np.float64)
    if total > EXACT_TOKENS:
        # Draws with replacement.
        return np.asarray(np.exp(values * np.log1p(-size / total)))
    missed = np.zeros(len(values))
    some = values <= total - size
    c = values[some]
    missed[some] = np.exp(
        gammaln(total - c + 1)
        - gammaln(total - c - size + 1)
        - gammaln(total + 1)
        + gammaln(total - size + 1)
    )
    return missed


def types_by_blocks(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expected tokens and types in 1, 2, ... of the blocks [blocks, vocab], chosen at random.

    Blocks are whole documents, so this growth has text's own repetition in it.
    """
    used = blocks[blocks.any(axis=1)]
    count = len(used)
    seen_in, types = np.unique((used > 0).sum(axis=0), return_counts=True)
    types = np.where(seen_in > 0, types, 0)
    chosen = np.arange(1, count + 1)
    grown = [
        float(np.sum(types * (1 - _missed(seen_in.astype(np.float64), count, int(k)))))
        for k in chosen
    ]
    return chosen * (float(used.sum()) / max(count, 1)), np.array(grown)


def curve_sizes(tokens: int, points: int = 24) -> list[int]:
    """Sizes at which a type-token curve is given: even in logarithm, from 1,000 to `tokens`."""
    if tokens < 1:
        return []
    first = min(1000, tokens)
    return sorted({round(size) for size in np.geomspace(first, tokens, points)} | {tokens})
