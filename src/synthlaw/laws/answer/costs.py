"""Money and GPU-hours: training saved against generation spent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.laws.answer.comparison import finite

Array = NDArray[np.float64]

FLOP_PER_PARAM_TOKEN = 6.0
"""Forward and backward pass (Kaplan et al., arXiv 2001.08361); attention and embeddings come on
top, so savings are understated for long contexts and small models."""


@dataclass(frozen=True)
class Costs:
    """Prices; what is None leaves its part of the account out.

    generator: money per million generated tokens. training: money per training FLOP.
    gpu_flops: sustained FLOP/s of one training GPU. generator_speed: generated tokens per second
    of one GPU.
    """

    generator: float | None = None
    training: float | None = None
    gpu_flops: float | None = None
    generator_speed: float | None = None

    def __post_init__(self) -> None:
        for name, (lowest, highest, example) in SENSIBLE.items():
            value = getattr(self, name)
            free = value == 0 and name in ("generator", "training")
            if value is not None and not (free or lowest <= value <= highest):
                kind = "a positive number" if not value > 0 else f"{lowest:g} to {highest:g}"
                raise UsageError(
                    f"{name.replace('_', ' ')}: found {value!r}; expected {kind}, {example}"
                )


SENSIBLE = {
    "generator": (1e-6, 1e5, "money per million generated tokens such as 0.2"),
    "training": (
        1e-24,
        1e-12,
        "money per FLOP such as 2e-18 (2 an hour for a GPU that sustains 4e14 FLOP/s is 1.4e-18)",
    ),
    "gpu_flops": (1e8, 1e18, "sustained FLOP/s of one GPU such as 4e14 (400T)"),
    "generator_speed": (0.01, 1e8, "generated tokens per second of one GPU such as 5000"),
}
"""Lowest and highest price or speed that is no slip of the pen, and what would be right."""


def account(params: float, saved: Array, generated: Array, costs: Costs) -> dict[str, Any]:
    """What training on `saved` fewer tokens and generating `generated` tokens comes to.

    saved, generated: [1 + count], the expectation and then replicates, in tokens. Keys appear as
    far as prices are given: FLOPs saved always, money (saved, spent, net, the generator price at
    which both are equal) and GPU-hours.
    """
    flops = FLOP_PER_PARAM_TOKEN * params * saved
    result: dict[str, Any] = {
        "training_tokens_saved": finite(saved[0]),
        "training_flops_saved": finite(flops[0]),
        "tokens_generated": finite(generated[0]),
    }
    if costs.training is not None:
        money = flops * costs.training
        result["training_money_saved"] = finite(money[0])
        with np.errstate(divide="ignore", invalid="ignore"):
            even = money / (generated / 1e6)
        result["break_even_generator_cost"] = finite(even[0])
        if costs.generator is not None:
            spent = generated / 1e6 * costs.generator
            result["generation_money_spent"] = finite(spent[0])
            result["net_money_saved"] = finite(money[0] - spent[0])
            result["probability_saves_money"] = _share(money - spent)
    elif costs.generator is not None:
        result["generation_money_spent"] = finite(generated[0] / 1e6 * costs.generator)
    if costs.gpu_flops is not None:
        hours = flops / costs.gpu_flops / 3600
        result["training_gpu_hours_saved"] = finite(hours[0])
        if costs.generator_speed is not None:
            spent = generated / costs.generator_speed / 3600
            result["generation_gpu_hours"] = finite(spent[0])
            result["net_gpu_hours_saved"] = finite(hours[0] - spent[0])
    elif costs.generator_speed is not None:
        result["generation_gpu_hours"] = finite(generated[0] / costs.generator_speed / 3600)
    return result


def _share(values: Array) -> float | None:
    """Share of the replicates above zero."""
    return float(np.mean(values[1:] > 0)) if len(values) > 1 else None
