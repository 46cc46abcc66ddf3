"""AdamW over a model's parameters, and its state as plain named tensors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synthlaw.training.config import TrainingConfig

MOMENTS = ("exp_avg", "exp_avg_sq")

SCALE = "rate_scale"
"""Key of a group's rate over the schedule's."""


def build_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW with decoupled decay on every parameter, or on matrices only (`config.decay_on`).

    'all' is the protocol: Lingua hands all parameters to one AdamW. Norm gains then shrink by at
    most learning_rate * decay per step, little beside their gradients.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        spared = parameter.dim() < 2 and config.decay_on == "matrices"
        decay = 0.0 if spared else config.weight_decay
        groups.setdefault((decay, rate_scale(name, parameter, config)), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "weight_decay": decay, SCALE: scale}
            for (decay, scale), parameters in groups.items()
        ],
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        fused=True,
    )


def rate_scale(name: str, parameter: nn.Parameter, config: TrainingConfig) -> float:
    """A parameter's rate over the schedule's: `rate_width` / dim for the blocks' matrices.

    1 for the embedding, which is the head too, and for norm gains; 1 for all without `rate_width`.
    """
    if config.rate_width is None or parameter.dim() < 2 or not name.startswith("layers."):
        return 1.0
    return config.rate_width / config.shape.dim


def set_rate(optimizer: torch.optim.AdamW, rate: float) -> None:
    """Give every group its part of the schedule's rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group[SCALE]


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.AdamW) -> dict[str, Tensor]:
    """The moments by name: `exp_avg/layers.0.mlp.up_proj.weight`. Empty before the first step."""
    tensors = {}
    for name, parameter in model.named_parameters():
        for moment in MOMENTS:
            if parameter in optimizer.state:
                tensors[f"{moment}/{name}"] = optimizer.state[parameter][moment]
    return tensors


def restore_optimizer(
    model: nn.Module, optimizer: torch.optim.AdamW, tensors: dict[str, Tensor], step: int
) -> None:
    """Put moments back after `step` updates. Raises KeyError when one is missing."""
    for name, parameter in model.named_parameters():
        state: dict[str, Tensor] = {
            moment: tensors[f"{moment}/{name}"].to(parameter.device) for moment in MOMENTS
        }
        # The fused kernel reads the update count from a tensor beside the parameter.
        state["step"] = torch.tensor(float(step), dtype=torch.float32, device=parameter.device)
        optimizer.state[parameter] = state
