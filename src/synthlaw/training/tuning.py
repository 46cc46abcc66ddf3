"""Which of a few peak rates suits one size at a small budget.

A departure from the paper, which gives every size one rate: tiny models on tiny budgets need a
larger one. What is found holds for the size, budget and batch that were tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from synthlaw.common.errors import UsageError
from synthlaw.training.batches import BatchSampler
from synthlaw.training.config import TrainingConfig
from synthlaw.training.loop import TrainingProgress, train


@dataclass(frozen=True)
class Trial:
    """A run at one peak rate. loss: mean training loss of its last steps, nats per token.

    On text read once that is loss on text not seen before. NaN when the run diverged.
    """

    rate: float
    status: Literal["finished", "diverged"]
    loss: float


def try_rates(
    config: TrainingConfig,
    sampler: BatchSampler,
    out: Path,
    rates: Sequence[float],
    *,
    on_progress: Callable[[float, TrainingProgress], None] = lambda rate, progress: None,
) -> list[Trial]:
    """Train `config` once at each peak rate, from the same weights on the same batches.

    Each run has a folder in `out` named after its rate, and resumes there. on_progress: told the
    rate and the news. Raises UsageError for rates that are not positive and distinct.
    """
    if len(set(rates)) < len(rates) or not all(0 < rate < math.inf for rate in rates):
        raise UsageError(f"rates: found {list(rates)}; expected distinct positive numbers")
    trials = []
    for rate in rates:
        tried = config.model_copy(update={"learning_rate": rate})

        def report(progress: TrainingProgress, rate: float = rate) -> None:
            on_progress(rate, progress)

        result = train(tried, sampler, out / f"rate-{rate!r}", on_progress=report)
        loss = result.loss if result.status == "finished" else math.nan
        trials.append(Trial(rate, result.status, loss))
    return trials


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """The trial of least loss; None when all diverged."""
    finished = [trial for trial in trials if trial.status == "finished"]
    return min(finished, key=lambda trial: trial.loss, default=None)


def is_at_the_edge(best: Trial, trials: Sequence[Trial]) -> bool:
    """Whether the best rate is the least or the greatest tried, so that a better may lie beyond."""
    rates = [trial.rate for trial in trials]
    return best.rate in (min(rates), max(rates))
