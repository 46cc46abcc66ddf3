"""AdamW over a model's parameters, and its state as plain named tensors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synthlaw.training.config import TrainingConfig

MOMENTS = ("exp_avg", "exp_avg_sq")


def build_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW with decoupled decay on every parameter, or on matrices only (`config.decay_on`).

    'all' is the protocol: Lingua hands all parameters to one AdamW. Norm gains then shrink by at
    most peak_lr * decay per step, little beside their gradients.
    """
    named = [p for p in model.parameters() if p.requires_grad]
    spared = [p for p in named if p.dim() < 2 and config.decay_on == "matrices"]
    kept = [p for p in named if not any(p is s for s in spared)]
    groups = [{"params": kept, "weight_decay": config.weight_decay}]
    if spared:
        groups.append({"params": spared, "weight_decay": 0.0})
    return torch.optim.AdamW(
        groups,
        lr=config.peak_lr,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        fused=True,
    )


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
