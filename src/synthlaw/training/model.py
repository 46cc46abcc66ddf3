"""A Llama 3 style decoder: RMSNorm, rotary positions, SwiGLU, tied embedding and output head.

Parameter names are those of Hugging Face's Llama without the leading `model.`, and the rotary
halves are laid out as there, so export is a rename. The module knows nothing of devices,
precision or parallelism: autocast, compilation and sharding are put around it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

from synthlaw.common.seeds import derive_seed
from synthlaw.training.device import bf16_instructions
from synthlaw.training.loss import summed_cross_entropy, token_cross_entropy
from synthlaw.training.presets import ModelShape


def _longest_in_blocks() -> int:
    native = bf16_instructions(torch.device("cpu"))
    return {"": 0, "AMX": 512}.get(native, 2048)


LONGEST_IN_BLOCKS = _longest_in_blocks()
"""Up to this context the CPU multiplies out bf16 attention: see `attend_in_blocks`. A constant of
the process, so that the same run takes the same kernels when it is resumed on its machine."""

BLOCK_QUERIES = 128
"""Queries per block; twice as many in contexts above four blocks."""


def product_dtype(x: Tensor) -> torch.dtype:
    """The type that a matrix product of `x` runs in: autocast's where it is on, else its own."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


class RMSNorm(nn.Module):
    """x / rms(x) * weight, computed in fp32 (Zhang and Sennrich 2019).

    The result has the type of the products that it feeds: cast once here, not once per product.
    """

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return (wide * scale * self.weight).to(product_dtype(x))


def rotary_tables(context: int, shape: ModelShape, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines [context, head_dim] in fp32; the second half repeats the first."""
    half = torch.arange(0, shape.head_dim, 2, dtype=torch.float32, device=device)
    frequencies = 1.0 / (shape.rope_theta ** (half / shape.head_dim))
    positions = torch.arange(context, dtype=torch.float32, device=device)
    angles = torch.outer(positions, frequencies).repeat(1, 2)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (i, i + head_dim/2) of x [batch, heads, context, head_dim] by position."""
    left, right = x.chunk(2, dim=-1)
    turned = torch.cat((-right, left), dim=-1)
    return x * cos + turned * sin


def attend(query: Tensor, key: Tensor, value: Tensor, same: Tensor | None = None) -> Tensor:
    """Causal attention over [batch, heads, context, head_dim].

    same: [batch, context, context], true where query and key are of one document; None: all are.
    On a CPU in bf16 it is multiplied out block by block: see `attend_in_blocks`.
    """
    context = query.shape[-2]
    short = query.device.type == "cpu" and context <= LONGEST_IN_BLOCKS
    if short and query.dtype == torch.bfloat16:
        return attend_in_blocks(query, key, value, same)
    if same is None:
        return F.scaled_dot_product_attention(query, key, value, is_causal=True)
    mask = (same & same.new_ones(context, context).tril())[:, None]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def attend_in_blocks(query: Tensor, key: Tensor, value: Tensor, same: Tensor | None) -> Tensor:
    """Causal attention by blocks of queries, each against the keys up to its end.

    What the causal mask would hide is not computed, and only the last square of a block is masked.
    On one CPU core (torch 2.13, bf16), forward and backward against torch's fused kernel: with
    AVX512_BF16 (Zen 5) a third of the time at contexts 256 and 512, half at 1024 and 2048; with
    AMX (compiled) 0.7 of it at 256 and 0.8 at 512, and more than it (eager) from 1024 on. Where
    bf16 is emulated the fused kernel took half the time, and in fp32 it was the faster at every
    context, with AVX-512 and with AVX2.
    """
    context, blocks = query.shape[-2], []
    width = BLOCK_QUERIES if context <= 4 * BLOCK_QUERIES else 2 * BLOCK_QUERIES
    query = query * query.shape[-1] ** -0.5
    for start in range(0, context, width):
        end = min(start + width, context)
        scores = query[..., start:end, :] @ key[..., :end, :].transpose(-1, -2)
        later = torch.full((end - start, end - start), -math.inf, dtype=query.dtype).triu(1)
        scores = torch.cat((scores[..., :start], scores[..., start:] + later), dim=-1)
        if same is not None:
            scores = scores.masked_fill(~same[:, None, start:end, :end], -math.inf)
        blocks.append(torch.softmax(scores, dim=-1) @ value[..., :end, :])
    return torch.cat(blocks, dim=-2)


def same_document(tokens: Tensor, start: int) -> Tensor:
    """True [batch, context, context] where two positions are of one document of the row.

    start: the token that begins a document. Positions keep counting through a row: rotary
    attention depends on distances alone.
    """
    document = (tokens == start).cumsum(-1)
    return document[:, :, None] == document[:, None, :]


class Attention(nn.Module):
    """Causal multi-head self-attention with rotary positions."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.heads, self.head_dim = shape.heads, shape.head_dim
        self.q_proj = nn.Linear(shape.dim, shape.dim, bias=False)
        self.k_proj = nn.Linear(shape.dim, shape.dim, bias=False)
        self.v_proj = nn.Linear(shape.dim, shape.dim, bias=False)
        self.o_proj = nn.Linear(shape.dim, shape.dim, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, same: Tensor | None = None) -> Tensor:
        batch, context, dim = x.shape

        def split(y: Tensor) -> Tensor:
            return y.view(batch, context, self.heads, self.head_dim).transpose(1, 2)

        query, key, value = split(self.q_proj(x)), split(self.k_proj(x)), split(self.v_proj(x))
        cos, sin = cos.to(query.dtype), sin.to(query.dtype)
        mixed = attend(rotate(query, cos, sin), rotate(key, cos, sin), value, same)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(batch, context, dim))
        return out


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)) (Shazeer 2020)."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.dim, shape.hidden, bias=False)
        self.up_proj = nn.Linear(shape.dim, shape.hidden, bias=False)
        self.down_proj = nn.Linear(shape.hidden, shape.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Block(nn.Module):
    """One layer: attention, then the feed-forward network, each around a residual."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(shape.dim, shape.norm_eps)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = RMSNorm(shape.dim, shape.norm_eps)
        self.mlp = SwiGLU(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, same: Tensor | None = None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, same)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Llama(nn.Module):
    """The decoder. Weights are fp32 and uninitialised noise until `initialise` or a load."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab, shape.dim)
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = RMSNorm(shape.dim, shape.norm_eps)

    def states(self, tokens: Tensor, document_start: int | None = None) -> Tensor:
        """Hidden states after the last norm, [batch, context, dim], for tokens [batch, context].

        document_start: the token that begins a document, to keep attention inside documents.
        """
        x = self.embed_tokens(tokens)
        cos, sin = rotary_tables(tokens.shape[1], self.shape, tokens.device)
        same = None if document_start is None else same_document(tokens, document_start)
        for layer in self.layers:
            x = layer(x, cos, sin, same)
        out: Tensor = self.norm(x)
        return out

    def forward(
        self,
        tokens: Tensor,
        targets: Tensor | None = None,
        document_start: int | None = None,
    ) -> Tensor:
        """Sum of cross-entropies in nats over [batch, context], a scalar in fp32.

        The logits never exist whole. Without `targets`, for inspection: all of them, [batch,
        context, vocab]. document_start: see `states`.
        """
        states = self.states(tokens, document_start)
        if targets is None:
            return F.linear(states, self.embed_tokens.weight)
        flat = states.flatten(0, 1)
        return summed_cross_entropy(flat, self.embed_tokens.weight, targets.flatten())

    @torch.no_grad()
    def token_losses(self, tokens: Tensor, targets: Tensor, wanted: Tensor) -> Tensor:
        """Cross-entropy in nats of the targets where `wanted` [batch, context] is true.

        fp32, one value per true place in row-major order, without gradient. Other places never
        pass the output head.
        """
        states = self.states(tokens)[wanted]
        return token_cross_entropy(states, self.embed_tokens.weight, targets[wanted])


@torch.no_grad()
def initialise(model: Llama, seed: int) -> None:
    """Draw the weights as Lingua does, which the paper trained with: a function of `seed` alone.

    Every matrix is a normal cut at three deviations with deviation 1/sqrt(inputs): dim for the
    embedding, queries, keys, values, gate and up; hidden for down. Norm gains are 1. Lingua's
    optional division by depth is off there by default, and here. With the tied head the first
    logits have deviation near 1, so the untrained loss is about ln(vocab) + 0.5 nats per token.

    Each matrix has its own stream named after it, drawn on the CPU: neither the device nor the
    order of modules changes the weights, and two depths share the weights of common layers.
    """
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            parameter.fill_(1.0)
            continue
        std = 1 / math.sqrt(parameter.shape[1])
        generator = torch.Generator().manual_seed(derive_seed(seed, "weights", name))
        drawn = torch.empty(parameter.shape, dtype=torch.float32)
        nn.init.trunc_normal_(drawn, 0.0, std, -3 * std, 3 * std, generator=generator)
        parameter.copy_(drawn)
