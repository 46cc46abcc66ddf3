"""Text for tests of tokens."""

from __future__ import annotations

import numpy as np

WORDS = [
    *("river", "stone", "bridge", "market", "winter"),
    *("candle", "harbour", "meadow", "lantern", "thunder"),
]


def prose(seed: int, words: int) -> str:
    """Sentences of random words: text for tests, the same for the same seed."""
    rng = np.random.default_rng(seed)
    chosen = [WORDS[i] for i in rng.integers(0, len(WORDS), words)]
    return " ".join(
        f"The {a} of the {b} was {c}." for a, b, c in zip(*[iter(chosen)] * 3, strict=False)
    )
