"""Natural tokens as a limited supply: what a budget is worth when some of it must repeat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synthlaw.laws.forms.repetition import PUBLISHED_DECAY, effective_tokens

Array = NDArray[np.float64]

_DOUBLINGS = 40
_HALVINGS = 60


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
    fresh = np.atleast_1d(np.asarray(fresh, dtype=float))
    # Natural tokens are worth at most natural * (1 + decay): beyond that only synthetic ones count.
    reached = np.isfinite(fresh)
    if share <= 0:
        reached &= fresh < natural * (1 + decay)
    low = np.where(reached, fresh, 1.0)
    high = low.copy()
    for _ in range(_DOUBLINGS):
        short = _worth(high, share, natural, decay) < low
        if not short.any():
            break
        high = np.where(short, 2 * high, high)
    reached &= _worth(high, share, natural, decay) >= low
    target, bottom = low.copy(), low
    for _ in range(_HALVINGS):
        if (high - bottom <= 1e-12 * high).all():
            break
        middle = 0.5 * (bottom + high)
        short = _worth(middle, share, natural, decay) < target
        bottom, high = np.where(short, middle, bottom), np.where(short, high, middle)
    return np.where(reached, high, np.inf)


def _worth(tokens: Array, share: float, natural: float, decay: float) -> Array:
    """`worth` of many budgets."""
    drawn = (1 - share) * tokens
    repeats = np.maximum(drawn / natural - 1, 0.0)
    fresh = np.minimum(drawn, natural) - natural * decay * np.expm1(-repeats / decay)
    result: Array = share * tokens + fresh
    return result
