"""Learning rates by size: one for all by default, by width for the blocks' matrices on request."""

from __future__ import annotations

import pytest
import torch
from runs import small_config

from synthlaw.training.loop import initial_model
from synthlaw.training.optimizer import build_optimizer, set_rate


@pytest.mark.parametrize(("width", "scale"), [(None, 1.0), (32, 1.0), (8, 0.25), (64, 2.0)])
@pytest.mark.parametrize("decay_on", ["all", "matrices"])
def test_blocks_take_their_width_of_the_rate(
    width: int | None, scale: float, decay_on: str
) -> None:
    """Adam's first step moves every entry by its rate, whatever its gradient."""
    config = small_config(rate_width=width, weight_decay=0.0, decay_on=decay_on)
    model = initial_model(config)
    optimizer = build_optimizer(model, config)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    set_rate(optimizer, 1e-3)
    optimizer.step()
    for name, parameter in model.named_parameters():
        inside = name.startswith("layers.") and parameter.dim() == 2
        wanted = 1e-3 * (scale if inside else 1.0)
        moved = before[name] - parameter.detach()
        torch.testing.assert_close(moved, torch.full_like(moved, wanted), rtol=1e-3, atol=1e-7)
