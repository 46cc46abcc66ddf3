"""Tables of runs drawn from known laws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from synthlaw.laws.table import RunsTable

JOINT_TRUTH = {"E": 1.8, "A": 0.45, "B": 0.9, "alpha": 0.34, "beta": 0.3}
SHARES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.10, 0.15, 0.20, 0.50, 1.0)


def joint_loss(law: dict[str, float], params: float, tokens: float) -> float:
    """Loss of a joint law whose coefficients are in units of 1e9."""
    return (
        law["E"]
        + law["A"] * (params / 1e9) ** -law["alpha"]
        + law["B"] * (tokens / 1e9) ** -law["beta"]
    )


def joint_rows(
    law: dict[str, float] = JOINT_TRUTH,
    *,
    sizes: Sequence[float] = tuple(np.geomspace(1e8, 3e9, 6)),
    budgets: Sequence[float] = tuple(np.geomspace(1e9, 1e11, 7)),
    noise: float = 0.003,
    seed: int = 0,
    **more: Any,
) -> list[dict[str, Any]]:
    """One run per size and budget, with log-normal noise; `more` are further columns."""
    generator = np.random.default_rng(seed)
    return [
        {
            "params": n,
            "tokens": d,
            "loss": joint_loss(law, n, d) * float(np.exp(noise * generator.standard_normal())),
            **more,
        }
        for n in sizes
        for d in budgets
    ]


def joint_table(**options: Any) -> RunsTable:
    """`joint_rows` as a table."""
    return RunsTable.from_rows(joint_rows(**options))


def share_loss(r: float, n: float, d: float) -> float:
    """A law of the share (n, d in units of 1e9) whose minimum moves with the tokens."""
    slope = 1.8 + 0.5 * (r - 0.2) ** 2
    return 2.0 + 0.3 * (r - 0.35) ** 2 + 0.5 * n**-0.35 + slope * d**-0.45


def share_rows(
    *,
    sizes: Sequence[float] = (2e8, 1e9),
    budgets: Sequence[float] = (1e9, 5e9, 5e10),
    shares: Sequence[float] = SHARES,
    noise: float = 0.001,
    seed: int = 0,
    kind: str = "HQ",
) -> list[dict[str, Any]]:
    """One run per size, budget and share."""
    generator = np.random.default_rng(seed)
    return [
        {
            "mixture": f"{r:.1%}{kind}",
            "params": n,
            "tokens": d,
            "synthetic_ratio": r,
            "synthetic_type": kind if r else "natural",
            "loss": share_loss(r, n / 1e9, d / 1e9)
            * float(np.exp(noise * generator.standard_normal())),
        }
        for n in sizes
        for d in budgets
        for r in shares
    ]
