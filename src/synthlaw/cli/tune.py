"""Which peak rate suits a small model: `synthlaw tune`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthlaw.cli.options import MixtureOptions, mixture_options, out_option
from synthlaw.cli.output import answer, json_option
from synthlaw.cli.training_options import (
    settled_dtype,
    size_option,
    threads_option,
    training_config,
    training_options,
)
from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.progress import meter

if TYPE_CHECKING:  # brings torch
    from synthlaw.training.tuning import Trial

RATES = (1e-3, 3e-3, 1e-2, 3e-2)
"""Half a decade apart, about where models of 0.1M to 10M parameters do best."""


@click.command()
@mixture_options
@out_option
@size_option
@click.option(
    "--rate",
    "rates",
    type=float,
    multiple=True,
    default=RATES,
    show_default=True,
    help="A peak rate to try; repeatable.",
)
@training_options("learning_rate", "document_masking")
@threads_option
@json_option
def tune(
    mixture: MixtureOptions,
    out: Path,
    size: str,
    rates: tuple[float, ...],
    training: dict[str, Any],
    threads: int,
    as_json: bool,
) -> None:
    """Train one size at several peak rates and say which was best; resumes what is in --out.

    All runs start from the same weights and read the same batches. The paper gives every
    size one rate; choosing one by size departs from it. What is found holds for this budget and
    batch.

    \b
    Example:
      synthlaw tune --source natural=tokens/natural --share natural=1 --size 0.3M \\
        --tokens 200k --context 256 --batch-tokens 512 --rate 3e-3 --rate 1e-2 --out runs/rates
    """
    from synthlaw.training.loop import TrainingProgress
    from synthlaw.training.precision import request_of
    from synthlaw.training.presets import preset
    from synthlaw.training.tuning import best_trial, is_at_the_edge, try_rates

    if len(rates) < 2:
        raise UsageError(f"--rate: found {len(rates)}; expected two or more to choose from")
    sampler, sets = mixture.sampler()
    shape = preset(size, next(iter(sets.values())).manifest.vocab)
    config = training_config(mixture, training, shape=shape, threads=threads)
    sampler.check(config.steps * config.rows)
    settled = settled_dtype(out, request_of(config, training.get("dtype", "auto")))
    config = config.model_copy(update={"dtype": settled})
    with meter(f"tuning {size}", config.tokens * len(rates), "token") as bar:

        def on_progress(rate: float, progress: TrainingProgress) -> None:
            done = rates.index(rate) * config.tokens + progress.tokens
            bar.update(done, f"rate {rate:g}, loss {progress.loss:.3f}")

        trials = try_rates(config, sampler, out, rates, on_progress=on_progress)
    best = best_trial(trials)
    if best is None:
        raise SynthlawError(f"every rate diverged: {', '.join(map(str, rates))}; try lower ones")
    edge = is_at_the_edge(best, trials)
    value = {
        "size": size,
        "tokens": config.tokens,
        "batch_tokens": config.batch_tokens,
        "dtype": config.dtype,
        "best": best.rate,
        "at_the_edge": edge,
        "trials": [_row(trial) for trial in trials],
    }
    answer(value, _lines(best, trials, edge), as_json)


def _row(trial: Trial) -> dict[str, Any]:
    loss = trial.loss if trial.status == "finished" else None
    return {"rate": trial.rate, "status": trial.status, "loss": loss}


def _lines(best: Trial, trials: Sequence[Trial], edge: bool) -> list[str]:
    lines = [f"{'rate':>8}  training loss of the last steps, nats per token"]
    for trial in sorted(trials, key=lambda trial: trial.rate):
        said = f"{trial.loss:.4f}" if trial.status == "finished" else "diverged"
        lines.append(f"{trial.rate:>8g}  {said}{'  best' if trial is best else ''}")
    if edge:
        lines.append(f"{best.rate:g} is at the edge of what was tried: a better may lie beyond it")
    return lines
