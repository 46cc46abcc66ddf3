"""Cross-entropy over a large vocabulary without ever holding all logits.

At 128,256 entries the logits of one 4,096-token row take 2.1 GB in fp32, and their gradient as
much again: more than the model. Here tokens go through the output head in blocks; the gradient of
a block is taken at once, while its logits are still in cache, and only the gradients with respect
to the hidden states and the head survive the block. Forward and backward together do the same
three products as the plain way, so nothing is computed twice.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

BLOCK_LOGITS = 1 << 20
"""Logits held at once on a CPU: 4 MiB in fp32, near the size of a core's second-level cache."""

LEAST_ROWS = 128
"""Every block adds to the head's whole gradient, a sum as dear for few rows as for many. The
number was chosen by that argument: `benchmarks/training.py rows` times others."""

BLOCK_LOGITS_CUDA = 1 << 28
"""On an accelerator large products pay and memory is the only limit: 1 GiB in fp32."""


def block_rows(vocab: int, device: torch.device) -> int:
    """Tokens per block, at least `LEAST_ROWS`."""
    budget = BLOCK_LOGITS if device.type == "cpu" else BLOCK_LOGITS_CUDA
    return max(LEAST_ROWS, budget // vocab)


def _matmul_dtype(hidden: Tensor) -> torch.dtype:
    device = hidden.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return hidden.dtype


class _SummedCrossEntropy(torch.autograd.Function):
    """Sum over tokens of -log softmax(hidden @ head.T)[target]."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        dtype = _matmul_dtype(hidden)
        weight = head.to(dtype)
        need_hidden, need_head = ctx.needs_input_grad[0], ctx.needs_input_grad[1]
        grad_hidden = torch.empty_like(hidden) if need_hidden else None
        grad_head = torch.zeros_like(head, dtype=torch.float32) if need_head else None
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        rows = block_rows(head.shape[0], hidden.device)
        for start in range(0, hidden.shape[0], rows):
            part = slice(start, start + rows)
            states = hidden[part].to(dtype)
            logits = (states @ weight.T).float()
            wanted = targets[part, None]
            logs = torch.log_softmax(logits, dim=-1)
            total -= logs.gather(1, wanted).sum()
            if not (need_hidden or need_head):
                continue
            grad = logs.exp_().to(dtype)
            grad.scatter_add_(1, wanted, torch.full_like(wanted, -1.0, dtype=dtype))
            if grad_hidden is not None:
                grad_hidden[part] = grad @ weight
            if grad_head is not None:
                grad_head += grad.T @ states
        ctx.save_for_backward(grad_hidden, grad_head)
        ctx.head_dtype = head.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (scale,) = grads
        grad_hidden, grad_head = ctx.saved_tensors
        return (
            None if grad_hidden is None else grad_hidden * scale,
            None if grad_head is None else (grad_head * scale).to(ctx.head_dtype),
            None,
        )


def summed_cross_entropy(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Sum of the tokens' losses in nats, a scalar in fp32 that can be differentiated once.

    hidden: [tokens, dim], the states after the last norm. head: [vocab, dim]. targets: [tokens].
    Products run in the autocast type when autocast is on; logits and sums are fp32.
    """
    total: Tensor = _SummedCrossEntropy.apply(hidden, head, targets)  # type: ignore[no-untyped-call]
    return total


@torch.no_grad()
def token_cross_entropy(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Loss of each token in nats, fp32 [tokens], without gradient; arguments as above."""
    dtype = _matmul_dtype(hidden)
    weight = head.to(dtype)
    losses = torch.empty(hidden.shape[0], dtype=torch.float32, device=hidden.device)
    rows = block_rows(head.shape[0], hidden.device)
    for start in range(0, hidden.shape[0], rows):
        part = slice(start, start + rows)
        logits = (hidden[part].to(dtype) @ weight.T).float()
        losses[part] = torch.logsumexp(logits, -1) - logits.gather(1, targets[part, None])[:, 0]
    return losses
