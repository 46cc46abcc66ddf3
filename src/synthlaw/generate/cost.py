"""What a generation run cost, from prices that the user gives.

Two kinds of price, alone or together: of a hosted service, per million tokens read and written; and
of machines, per hour of a GPU. Tokens are those of answers that were kept or dropped: what a server
wrote for requests that it then failed is not known here. GPU time is the time in which any worker
was asking.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from synthlaw.common.errors import UsageError


@dataclass(frozen=True)
class Prices:
    """prompt, completion: per million tokens; gpu_hour: per GPU and hour, of `gpus` GPUs."""

    prompt: float | None = None
    completion: float | None = None
    gpu_hour: float | None = None
    gpus: int = 1

    def __post_init__(self) -> None:
        """Raises UsageError for a price that is negative."""
        for name in ("prompt", "completion", "gpu_hour"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise UsageError(f"price {name}: found {value}; expected 0 or more")

    def cost(self, counts: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """Cost by kind, in the prices' currency; None when no price is known.

        counts: of a run, see Generated.counts. seconds: see claims.busy_seconds.
        """
        parts: dict[str, float] = {}
        if self.prompt is not None:
            parts["prompt_tokens"] = self.prompt * counts["prompt_tokens"] / 1e6
        if self.completion is not None:
            parts["completion_tokens"] = self.completion * counts["completion_tokens"] / 1e6
        if self.gpu_hour is not None:
            parts["gpus"] = self.gpu_hour * self.gpus * seconds / 3600
        if not parts:
            return None
        total, kept = math.fsum(parts.values()), counts["document_tokens"]
        return {
            "prices": dict(vars(self)),
            "parts": parts,
            "total": total,
            "per_million_kept_tokens": 1e6 * total / kept if kept else None,
        }
