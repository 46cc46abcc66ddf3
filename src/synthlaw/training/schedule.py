"""Learning rate as a pure function of the step: linear warm-up, then a cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class CosineSchedule:
    """Linear warm-up to `peak`, then half a cosine down to `peak * min_ratio` at the last step.

    steps: optimizer steps of the whole run. warmup: share of them spent warming up (paper: 0.1).
    min_ratio: final over peak rate (paper: 1e-6).

    Two details differ from Lingua, which the paper used: there the first step has rate zero and
    the cosine is measured from step 0, so it starts at 0.976 of the peak. Here the first step
    already learns, which counts when a tiny run has twenty steps, and the peak is reached.
    """

    peak: float
    steps: int
    warmup: float
    min_ratio: float

    @property
    def warmup_steps(self) -> int:
        """Steps of rising rate; the peak is the rate of the step after them."""
        return min(round(self.warmup * self.steps), self.steps - 1)

    def rate(self, step: int) -> float:
        """Learning rate of the update numbered `step`, counted from 0."""
        if step < self.warmup_steps:
            return self.peak * (step + 1) / (self.warmup_steps + 1)
        falling = max(self.steps - 1 - self.warmup_steps, 1)
        share = min((step - self.warmup_steps) / falling, 1.0)
        cosine = 0.5 * (1 + math.cos(math.pi * share))
        return self.peak * (self.min_ratio + (1 - self.min_ratio) * cosine)
