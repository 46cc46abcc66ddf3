"""What a worker can say of a run while it goes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from synthlaw.generate.requests import Progress


@dataclass
class RunProgress:
    """What a worker can say of a run.

    total, finished: rollouts that are expected to be needed, and those in finished blocks, whoever
    made them. open: those done in this worker's open blocks. own: counts of this worker since its
    start. in_flight: requests by server. waiting: those that wait for a place, or for their next
    try. blocks, blocks_left: finished ones, and ones that are expected to be needed.
    """

    name: str
    total: int = 0
    finished: int = 0
    open: int = 0
    own: Progress = field(default_factory=Progress)
    in_flight: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    blocks: int = 0
    blocks_left: int = 0

    @property
    def done(self) -> int:
        """Rollouts in finished blocks, and so far in this worker's open ones."""
        return self.finished + self.open

    @property
    def tokens_per_second(self) -> float:
        """Completion tokens per second of this worker since its start."""
        seconds = max(time.monotonic() - self.own.started, 1e-9)
        return self.own.completion_tokens / seconds

    def news(self) -> dict[str, Any]:
        """For the heartbeat: counts and rates of this worker alone."""
        return {
            "documents": self.own.documents,
            "requests": self.own.requests,
            "failed": self.own.failed,
            "completion_tokens": self.own.completion_tokens,
            "tokens_per_second": round(self.tokens_per_second, 1),
            "open": self.open,
            "in_flight": self.in_flight,
            "waiting": self.waiting,
        }
