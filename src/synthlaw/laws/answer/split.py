"""The compute-optimal split: which size and how many tokens give the lowest loss for a compute."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.laws.answer.comparison import decompose, finite, spread, vectors_of
from synthlaw.laws.answer.costs import FLOP_PER_PARAM_TOKEN
from synthlaw.laws.lawfit import LawFit

Array = NDArray[np.float64]


def compute_optimal(
    law: LawFit, params: float, tokens: float, share: float | None = None
) -> dict[str, Any] | None:
    """The best parameters and tokens for the 6·N·D FLOP of `params` and `tokens`.

    With L = R + A n^-a + B d^-b and n·d fixed, the minimum is where a A n^-a = b B d^-b. None for a
    law that does not fall as a power of both sizes.
    """
    if not (law.reads("params") and law.reads("tokens")):
        return None
    vectors = vectors_of(law)
    others = {"params": params, "tokens": tokens, "ratio": share or 0.0}
    try:
        _, scale_n, alpha = decompose(law, vectors, "params", others)
        _, scale_d, beta = decompose(law, vectors, "tokens", others)
    except UsageError:
        return None
    product = (params / law.unit["params"]) * (tokens / law.unit["tokens"])
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        ratio = alpha * scale_n / (beta * scale_d) * product**beta
        best = ratio ** (1.0 / (alpha + beta)) * law.unit["params"]
    if not (np.isfinite(best[0]) and best[0] > 0):
        return None
    there = {"params": float(best[0]), "tokens": float(params * tokens / best[0])}
    inputs = {**there, "ratio": share or 0.0}
    loss = law.evaluate(vectors, inputs)[:, 0]
    loss[1:] *= law.beyond(loss[1:], there)
    return {
        "flops": FLOP_PER_PARAM_TOKEN * params * tokens,
        **there,
        "params_interval": spread(law, best),
        "tokens_interval": spread(law, params * tokens / best),
        "tokens_per_param": finite(there["tokens"] / there["params"]),
        "loss": float(loss[0]),
        "interval": spread(law, loss),
        "extrapolation": law.extrapolation(**there),
    }
