"""Randomness from names: every stream is derived from the study's seed and what it is for."""

from __future__ import annotations

import hashlib


def derive_seed(*names: object, bits: int = 63) -> int:
    """A seed in [0, 2**bits) that depends on every name and on nothing else.

    `derive_seed(study_seed, "init", run)` and `derive_seed(study_seed, "data", run)` are
    unrelated streams; adding a run never shifts the seed of another.
    """
    text = "\x1f".join(f"{type(name).__name__}:{name}" for name in names)
    whole = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    return whole % (1 << bits)
