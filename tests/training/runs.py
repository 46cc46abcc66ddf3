"""Small runs that the training tests share."""

from __future__ import annotations

from typing import Any

import numpy as np

from synthlaw.common.digest import digest_of
from synthlaw.training.config import TrainingConfig
from synthlaw.training.presets import ModelShape


class PatternSampler:
    """Rows of a noisy successor pattern: easy to learn, a pure function of (seed, step)."""

    def __init__(self, vocab: int, context: int, seed: int = 0, noise: float = 0.2) -> None:
        self.vocab, self.context, self.seed, self.noise = vocab, context, seed, noise

    def batch(self, step: int, rows: int) -> np.ndarray:
        random = np.random.default_rng([self.seed, step])
        first = random.integers(self.vocab, size=(rows, 1))
        pattern = (first + 3 * np.arange(self.context + 1)) % self.vocab
        noisy = random.random(pattern.shape) < self.noise
        return np.where(noisy, random.integers(self.vocab, size=pattern.shape), pattern)

    def identity(self) -> str:
        return digest_of([self.vocab, self.context, self.seed, self.noise])


def small_config(**changes: Any) -> TrainingConfig:
    """A run of 20 steps that takes a fraction of a second."""
    values: dict[str, Any] = {
        "shape": ModelShape(dim=32, layers=2, heads=2, vocab=64),
        "context": 16,
        "batch_tokens": 64,
        "budget": 20 * 64,
        "learning_rate": 1e-2,
        "threads": 1,
        "device": "cpu",
        "seed": 7,
    }
    return TrainingConfig(**{**values, **changes})


def small_sampler(config: TrainingConfig, **changes: Any) -> PatternSampler:
    """The sampler that fits `config`."""
    return PatternSampler(config.shape.vocab, config.context, **changes)
