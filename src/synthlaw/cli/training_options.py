"""What the commands that train share: the options of a run, its configuration, its precision."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthlaw.cli.derived_options import checked, settings_options
from synthlaw.cli.options import MixtureOptions
from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import parse_count
from synthlaw.common.progress import say
from synthlaw.training.settings import TrainingSettings

if TYPE_CHECKING:  # loaded when a command needs it
    from synthlaw.training.config import Precision, TrainingConfig
    from synthlaw.training.precision import PrecisionRequest

size_option = click.option("--size", required=True, help="A preset, such as 0.3M or 1B.")
threads_option = click.option("--threads", default=0, help="CPU threads; 0 leaves torch's setting.")


def training_options(*without: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command every setting of training but `without`; it takes them as `training`.

    The context is one of the mixture's options.
    """
    return settings_options(TrainingSettings, "training", without={"context", *without})


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


def training_config(
    mixture: MixtureOptions, training: dict[str, Any], **own: Any
) -> TrainingConfig:
    """The run that a command's options describe, in fp32 until its precision is settled.

    own: what the options do not say: shape, threads, document_start. A batch such as 1M is the
    nearest whole number of windows. Raises UsageError for a budget below one batch, which would
    otherwise be rounded up to it.
    """
    from synthlaw.training.config import TrainingConfig

    default = TrainingSettings.model_fields["batch_tokens"].default
    asked = parse_count(training.get("batch_tokens", default), "--batch-tokens")
    if mixture.count() < asked:
        raise UsageError(
            f"--tokens: found {mixture.tokens}, less than one step of --batch-tokens "
            f"{asked:g}; expected at least one step: lower --batch-tokens"
        )
    windows = max(1, round(asked / mixture.context))
    values = {
        **training,
        "context": mixture.context,
        "batch_tokens": windows * mixture.context,
        "budget": round(mixture.count()),
        "seed": mixture.seed,
        "dtype": "fp32",
    }
    return checked(TrainingConfig, values | own)
