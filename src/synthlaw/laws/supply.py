"""Natural tokens as a limited supply: what a budget is worth when some of it must repeat."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from synthlaw.laws.repetition import PUBLISHED_DECAY, effective_tokens

Array = NDArray[np.float64]


def epochs(tokens: float, share: float, natural: float | None) -> float | None:
    """How often each natural token is seen; None when the supply is unlimited or unknown."""
    return None if natural is None else (1 - share) * tokens / natural


def worth(
    tokens: float, share: float, natural: float | None, decay: float = PUBLISHED_DECAY
) -> float:
    """Fresh tokens worth as much as `tokens` with synthetic `share` and `natural` unique tokens.

    Synthetic tokens are generated for the run and never repeat; natural ones repeat once the
    supply is spent, with the decay of `repetition.effective_tokens`.
    """
    if natural is None:
        return tokens
    return share * tokens + effective_tokens((1 - share) * tokens, natural, decay)


def tokens_worth(
    fresh: Array, share: float, natural: float | None, decay: float = PUBLISHED_DECAY
) -> Array:
    """The inverse of `worth`: tokens to train on for the worth of `fresh` ones [count].

    Infinite where no number of tokens is worth that much.
    """
    if natural is None:
        return fresh
    return np.array([_invert(value, share, natural, decay) for value in np.atleast_1d(fresh)])


def _invert(fresh: float, share: float, natural: float, decay: float) -> float:
    low = high = fresh
    if not math.isfinite(fresh):
        return math.inf
    while worth(high, share, natural, decay) < fresh:
        high *= 2
        if high > 1e6 * fresh:
            return math.inf
    for _ in range(100):
        middle = 0.5 * (low + high)
        if worth(middle, share, natural, decay) < fresh:
            low = middle
        else:
            high = middle
    return high
