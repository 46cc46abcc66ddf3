"""What the commands that train share: options of the protocol, and configurations that fit."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from pydantic import BaseModel, ValidationError

from synthlaw.cli.options import MixtureOptions
from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import parse_count
from synthlaw.common.progress import say

if TYPE_CHECKING:  # loaded when a command needs it
    from synthlaw.training.config import Precision, StableDecay
    from synthlaw.training.precision import PrecisionRequest

T = TypeVar("T", bound=BaseModel)

_OPTIONS = [
    click.option(
        "--schedule",
        type=click.Choice(["cosine", "wsd"]),
        default="cosine",
        show_default=True,
        help="wsd: warm up, stay at the peak, fall at the end.",
    ),
    click.option(
        "--cooldown",
        type=click.FloatRange(min=0, max=1, min_open=True),
        help="wsd: the share of the steps in which the rate falls. [default: 0.2]",
    ),
    click.option(
        "--document-masking", is_flag=True, help="Attention stays inside documents of a row."
    ),
    click.option(
        "--track",
        type=click.Choice(["tensorboard", "wandb"]),
        multiple=True,
        help="Show the log there too; each is an extra; repeatable.",
    ),
]


dtype_option = click.option(
    "--dtype",
    type=click.Choice(["auto", "bf16", "fp32"]),
    default="auto",
    show_default=True,
    help="Of matrix products. auto: what --out began with, else bf16 where it is native and no "
    "slower, else fp32.",
)


def settled_dtype(out: Path, request: PrecisionRequest) -> Precision:
    """The precision to work in: the one that `out` keeps, else settled now, kept, and said.

    Of several processes the first one settles it, and the others read what it left.
    """
    from synthlaw.training.precision import (
        PrecisionRecord,
        awaited_precision,
        kept_precision,
        settle_precision,
    )

    if int(os.environ.get("RANK", "0")) > 0:
        return awaited_precision(out, request.asked)
    before = PrecisionRecord.read(out)
    record = kept_precision(out, request.asked, lambda: settle_precision(request))
    if record != before:
        say(f"precision: {record.line()}")
    if warning := record.warning():
        say(f"warning: {warning}")
    return record.dtype


def protocol_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --schedule, --cooldown, --document-masking and --track."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def plateau(
    schedule: str, cooldown: float | None, *, warmup: float, steps: int
) -> StableDecay | None:
    """What --schedule and --cooldown ask of a run of `steps`; None is the cosine.

    warmup: share of the steps. Raises UsageError for a cooldown of the cosine.
    """
    from synthlaw.training.config import StableDecay

    if schedule == "cosine":
        if cooldown is not None:
            raise UsageError("--cooldown: belongs to --schedule wsd; the cosine has none")
        return None
    return StableDecay(warmup_steps=int(warmup * steps), cooldown=cooldown or 0.2)


def budget_of(mixture: MixtureOptions, batch_tokens: str) -> dict[str, int]:
    """The fields of a configuration that say how much is read: context, batch, budget, seed.

    A batch such as 1M is the nearest whole number of windows. Raises UsageError for a budget
    below one batch, which would otherwise be rounded up to it.
    """
    per_step, context = parse_count(batch_tokens, "--batch-tokens"), mixture.context
    if mixture.count() < per_step:
        raise UsageError(
            f"--tokens: found {mixture.tokens}, less than one step of --batch-tokens "
            f"{batch_tokens}; expected at least one step: lower --batch-tokens"
        )
    return {
        "context": context,
        "batch_tokens": max(1, round(per_step / context)) * context,
        "budget": round(mixture.count()),
        "seed": mixture.seed,
    }


def checked(kind: type[T], **values: Any) -> T:
    """`kind(**values)`; what does not fit together is an error for people."""
    try:
        return kind(**values)
    except ValidationError as error:
        said = [item["msg"].removeprefix("Value error, ") for item in error.errors()]
        raise UsageError("; ".join(said)) from None
