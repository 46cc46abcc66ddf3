"""Where a run's tokens come from, and what is checked of them before they are trained on."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.training.config import TrainingConfig


class BatchSampler(Protocol):
    """Where training tokens come from."""

    def batch(self, step: int, rows: int) -> np.ndarray:
        """Token ids int64 [rows, context + 1] of one optimizer step; a pure function."""
        ...

    def identity(self) -> str:
        """Digest of everything that determines the batches."""
        ...


def checked_batch(sampler: BatchSampler, step: int, config: TrainingConfig) -> np.ndarray:
    """The rows of a step, int64 [rows, context + 1].

    Raises SynthlawError for another shape and UsageError for ids beyond the vocabulary.
    """
    rows = sampler.batch(step, config.rows)
    expected = (config.rows, config.context + 1)
    if rows.shape != expected:
        raise SynthlawError(
            f"sampler, step {step}: found a batch of shape {rows.shape}; "
            f"expected {expected} (rows, context + 1)"
        )
    low, high = int(rows.min()), int(rows.max())
    if low < 0 or high >= config.shape.vocab:
        raise UsageError(
            f"sampler, step {step}: found token ids from {low} to {high}; expected "
            f"0 to {config.shape.vocab - 1}, the model's vocabulary"
        )
    return np.ascontiguousarray(rows, dtype=np.int64)
