"""What can be set of an evaluation: the options of `synthlaw evaluate`. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from synthlaw.common.settings import Settings


class EvaluationSettings(Settings):
    """How much of the documents is scored, by whose convention, in which precision."""

    documents: int = Field(
        0, ge=0, description="score at most so many of each domain, chosen by --seed; 0: all"
    )
    max_tokens: int = Field(
        0, ge=0, description="score longer documents by so many of their first tokens; 0: whole"
    )
    convention: Literal["synthlaw", "lm-eval", "paloma"] = Field(
        "synthlaw", description="whose windows, prefix token and word counts"
    )
    window: int = Field(
        0,
        ge=0,
        description="positions that the model sees at once; 0: its training context, with paloma "
        "at most 2048",
    )
    stride: int = Field(
        0,
        ge=0,
        description="tokens between windows; 0: half the window, by others' conventions all of it",
    )
    prefix: Literal["bos", "eos", "none"] | None = Field(
        None, description="token put before each document; default: bos, with paloma eos"
    )
    dtype: Literal["auto", "bf16", "fp32"] = Field(
        "auto",
        description="of matrix products; auto: what --out began with, else bf16 where it is "
        "native and no slower, else fp32",
    )
    device: str = Field("auto", description="auto, cpu or cuda")
    keep_losses: bool = Field(False, description="keep the loss of every token, for `stats`")
    seed: int = Field(0, description="of --documents and the intervals")
