"""Learning rate as a pure function of the step: a cosine, or a plateau with a cooldown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


class Schedule(Protocol):
    """Learning rate by step."""

    def rate(self, step: int) -> float:
        """Learning rate of the update numbered `step`, counted from 0."""
        ...


def warming_up(peak: float, step: int, warmup_steps: int) -> float:
    """The rising rate: the first step already learns, the step after the warm-up has the peak."""
    return peak * (step + 1) / (warmup_steps + 1)


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
            return warming_up(self.peak, step, self.warmup_steps)
        falling = max(self.steps - 1 - self.warmup_steps, 1)
        share = min((step - self.warmup_steps) / falling, 1.0)
        cosine = 0.5 * (1 + math.cos(math.pi * share))
        return self.peak * (self.min_ratio + (1 - self.min_ratio) * cosine)


@dataclass(frozen=True)
class StableSchedule:
    """Linear warm-up, a plateau at `peak`, then down to `peak * min_ratio` at the last step.

    The fall follows 1 - sqrt(share of the cooldown), which Hägele et al. (2024, arXiv 2405.18392)
    found better than a straight line. Until the cooldown begins the rate does not depend on
    `steps`, so runs of all budgets share that part: the trunk.
    """

    peak: float
    steps: int
    warmup_steps: int
    cooldown_steps: int
    min_ratio: float

    def rate(self, step: int) -> float:
        """Learning rate of the update numbered `step`, counted from 0."""
        if step < self.warmup_steps:
            return warming_up(self.peak, step, self.warmup_steps)
        into = step + 1 - (self.steps - self.cooldown_steps)
        if into <= 0:
            return self.peak
        falling = 1 - math.sqrt(min(into / self.cooldown_steps, 1.0))
        return self.peak * (self.min_ratio + (1 - self.min_ratio) * falling)
