"""Model shapes: the six of the paper's Table 1, tiny ones for a CPU, counts and FLOPs by formula.

Nothing here imports torch: plans and reports count parameters and FLOPs without it. A test builds
every preset on torch's meta device and compares.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from synthlaw.common.errors import UsageError

LLAMA3_VOCAB = 128_256
"""Entries of the Llama 3 tokenizer, the paper's vocabulary."""

ROPE_THETA = 500_000.0
NORM_EPS = 1e-5

WIDE = 512
"""From this width on the hidden layer is rounded up to a multiple of 256, as Llama does."""


def hidden_width(dim: int) -> int:
    """Width of the SwiGLU hidden layer: 8/3 of `dim`, rounded up.

    Rounded to a multiple of 256 as in Llama and Lingua from width 512 on, which gives Table 1's
    models; to a multiple of 32 below, where 256 would be up to 1.5 times the width asked for.
    """
    multiple = 256 if dim >= WIDE else 32
    wanted = int(2 * 4 * dim / 3)
    return multiple * -(-wanted // multiple)


class ModelShape(BaseModel):
    """Everything that determines a model's weights up to their values.

    dim: model width. layers: transformer blocks. heads: attention heads, dividing `dim` into an
    even head width. vocab: tokenizer entries. hidden: SwiGLU width, by default `hidden_width(dim)`.
    Embedding and output head are tied (one matrix).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dim: int = Field(gt=0)
    layers: int = Field(gt=0)
    heads: int = Field(gt=0)
    vocab: int = Field(gt=1)
    hidden: int = Field(gt=0)
    rope_theta: float = Field(default=ROPE_THETA, gt=0)
    norm_eps: float = Field(default=NORM_EPS, gt=0)

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)

    @model_validator(mode="before")
    @classmethod
    def _fill_hidden(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("hidden") is None:
            dim = values.get("dim")
            if isinstance(dim, int) and dim > 0:
                return {**values, "hidden": hidden_width(dim)}
            # The message about `dim` is the useful one; a second about `hidden` would only hide it.
            return {**values, "hidden": 1}
        return values

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.dim % self.heads or (self.dim // self.heads) % 2:
            fits = [h for h in range(1, self.dim + 1) if self.dim % (2 * h) == 0]
            near = sorted(fits, key=lambda h: abs(h - self.heads))[:3]
            raise ValueError(
                f"heads: found {self.heads} for dim {self.dim}; expected a number that divides "
                f"dim into an even head width, such as {', '.join(map(str, sorted(near)))}"
            )
        return self

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.heads

    @property
    def params(self) -> int:
        """Non-embedding parameters (Kaplan et al. 2020): everything but the token embedding.

        Per layer 4·d² (query, key, value, output), 3·d·hidden (gate, up, down) and 2·d (norms);
        plus d for the last norm.
        """
        layer = 4 * self.dim**2 + 3 * self.dim * self.hidden + 2 * self.dim
        return self.layers * layer + self.dim

    @property
    def params_total(self) -> int:
        """All parameters, the tied embedding counted once."""
        return self.params + self.vocab * self.dim


_TABLE_1 = {
    "100M": (576, 7, 9),
    "200M": (832, 10, 13),
    "500M": (1280, 16, 20),
    "1B": (1792, 22, 28),
    "2B": (2240, 28, 35),
    "3B": (2624, 32, 41),
}

_TINY = {"0.1M": 2, "0.3M": 3, "0.8M": 4, "1.6M": 5, "2.7M": 6, "6M": 8, "9M": 9, "12M": 10}

PAPER_PRESETS = tuple(_TABLE_1)
"""Names of Table 1. A label is the *total* count with the 128k vocabulary (within 3%)."""

TINY_PRESETS = tuple(_TINY)
"""Names of the CPU family. A label is the *non-embedding* count, whatever the vocabulary."""

PRESETS = (*TINY_PRESETS, *PAPER_PRESETS)


def preset(name: str, vocab: int = LLAMA3_VOCAB) -> ModelShape:
    """The shape called `name` with a vocabulary of `vocab` entries.

    Table 1 keeps width/layers near 81 and heads of 64. The tiny family is the same idea with one
    integer n: n layers, n heads of 32, width 32·n, so that size alone changes along a ladder.
    Raises UsageError for an unknown name.
    """
    if name in _TABLE_1:
        dim, layers, heads = _TABLE_1[name]
    elif name in _TINY:
        n = _TINY[name]
        dim, layers, heads = 32 * n, n, n
    else:
        raise UsageError(
            f"model preset: found {name!r}; expected one of {', '.join(PRESETS)}, "
            "or a shape with dim, layers and heads"
        )
    return ModelShape(dim=dim, layers=layers, heads=heads, vocab=vocab)


def flops_per_token(shape: ModelShape, context: int, *, causal: bool = True) -> float:
    """FLOPs to train on one token (forward and backward), attention and head included.

    A multiply-add is 2 FLOPs and the backward pass costs twice the forward, hence 6 per matrix
    entry: 6·(layers·(4·d² + 3·d·hidden) + d·vocab). Attention scores and their weighted sum cost
    2·2·d per visible position and layer forward, so 12·layers·d·(context+1)/2 with the causal
    mask, the work the mathematics needs. `causal=False` counts all `context` positions, the
    convention of PaLM's appendix B. Norms, RoPE, softmax and the optimizer are not counted.
    """
    matrices = shape.layers * (4 * shape.dim**2 + 3 * shape.dim * shape.hidden)
    visible = (context + 1) / 2 if causal else float(context)
    attention = 12 * shape.layers * shape.dim * visible
    return 6.0 * (matrices + shape.dim * shape.vocab) + attention


def training_flops(shape: ModelShape, tokens: float, context: int) -> float:
    """FLOPs of a whole run over `tokens` training tokens: see `flops_per_token`."""
    return tokens * flops_per_token(shape, context)
