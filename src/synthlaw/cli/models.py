"""Single stages over models: train, export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthlaw.cli.options import (
    MixtureOptions,
    mixture_options,
    model_option,
    out_option,
    tokenizer_option,
)
from synthlaw.cli.output import answer, json_option
from synthlaw.cli.training_options import budget_of, checked, plateau, protocol_options
from synthlaw.common.errors import UsageError
from synthlaw.common.files import read_json
from synthlaw.common.numbers import format_count
from synthlaw.common.progress import meter

if TYPE_CHECKING:  # brings torch
    from synthlaw.training.result import TrainingResult

TOLD = ("tokens", "steps", "loss", "flops")
"""What a model card tells of a run's result."""


@click.command()
@mixture_options
@out_option
@click.option("--size", required=True, help="A preset, such as 0.3M or 1B.")
@click.option("--batch-tokens", default="1M", show_default=True, help="Tokens per step.")
@click.option("--learning-rate", default=3e-4, show_default=True)
@click.option("--dtype", type=click.Choice(["bf16", "fp32"]), default="bf16", show_default=True)
@click.option("--threads", default=0, help="CPU threads; 0 leaves torch's setting.")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Train on so many GPUs of this machine, one process each.",
)
@click.option(
    "--micro-batch",
    type=click.IntRange(min=0),
    default=0,
    help="Rows per forward pass of a process; 0: all its rows.",
)
@click.option("--recompute", is_flag=True, help="Keep fewer activations; compute them twice.")
@click.option("--compile", "compiled", is_flag=True, help="torch.compile the model's blocks.")
@click.option(
    "--shard-group",
    type=click.IntRange(min=0),
    default=0,
    help="Processes that share one copy of the model (HSDP); 0: all (FSDP).",
)
@protocol_options
@json_option
def train(
    mixture: MixtureOptions,
    out: Path,
    size: str,
    batch_tokens: str,
    learning_rate: float,
    dtype: str,
    threads: int,
    processes: int,
    micro_batch: int,
    recompute: bool,
    compiled: bool,
    shard_group: int,
    schedule: str,
    cooldown: float | None,
    document_masking: bool,
    track: tuple[str, ...],
    as_json: bool,
) -> None:
    """Train one model on one mixture; resumes what is in --out.

    \b
    Examples:
      synthlaw train --source natural=tokens/natural --share natural=1 --size 0.3M \\
        --tokens 1M --context 256 --batch-tokens 4096 --learning-rate 3e-3 --out runs/first
      synthlaw train --source natural=tokens/natural --share natural=1 --size 0.8M \\
        --tokens 10M --schedule wsd --document-masking --track tensorboard --out runs/wsd
      synthlaw train --source natural=tokens/natural --share natural=1 --size 1B \\
        --tokens 20B --processes 8 --micro-batch 4 --compile --out runs/large
    Several machines: start the same command, without --processes, under torchrun on each:
      torchrun --nnodes 4 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500 \\
        -m synthlaw train … --shard-group 8
    """
    from synthlaw.training.launch import alone_in, is_launched, run_processes

    if processes > 1 and not is_launched():
        with alone_in(out):
            return run_processes(processes, [sys.executable, "-m", "synthlaw", *sys.argv[1:]])
    from synthlaw.training.config import TrainingConfig
    from synthlaw.training.loop import TrainingProgress
    from synthlaw.training.loop import train as train_model
    from synthlaw.training.presets import preset

    sampler, sets = mixture.sampler()
    manifest = next(iter(sets.values())).manifest
    config = checked(
        TrainingConfig,
        shape=preset(size, manifest.vocab),
        **budget_of(mixture, batch_tokens),
        peak_lr=learning_rate,
        dtype="bf16" if dtype == "bf16" else "fp32",
        threads=threads,
        micro_batch=micro_batch,
        recompute=recompute,
        compile=compiled,
        shard_group=shard_group,
        document_start=manifest.bos if document_masking else None,
        track=track,
    )
    if falling := plateau(schedule, cooldown, warmup=config.warmup, steps=config.steps):
        config = checked(TrainingConfig, **{**config.model_dump(), "wsd": falling})
    sampler.check(config.steps * config.rows)
    with alone_in(out), meter(f"training {size}", config.tokens, "token") as bar:

        def on_progress(progress: TrainingProgress) -> None:
            bar.update(progress.tokens, f"loss {progress.loss:.3f}")

        result = train_model(config, sampler, out, on_progress=on_progress)
    _tell(result, out, as_json)
    if result.status != "finished":
        raise SystemExit(1)


def _tell(result: TrainingResult, out: Path, as_json: bool) -> None:
    value = {
        "status": result.status,
        "steps": result.steps,
        "tokens": result.tokens,
        "params": result.params,
        "params_total": result.params_total,
        "flops": result.flops,
        "loss": result.loss if result.status == "finished" else None,
        "seconds": result.seconds,
    }
    line = (
        f"{result.status}: {format_count(result.tokens)} tokens, training loss "
        f"{result.loss:.4f} nats per token, {format_count(result.flops)} FLOP, in {out}"
    )
    answer(value, [line], as_json)


def _model_folder(folder: Path) -> Path:
    """The weights inside a run's folder, or the folder itself."""
    inner = folder / "model"
    return inner if inner.is_dir() else folder


@click.command()
@model_option
@out_option
@tokenizer_option
@click.option(
    "--context",
    type=click.IntRange(min=1),
    help="Positions that the model was trained on.  [default: the run's, else 4096]",
)
@json_option
def export(
    model: Path, out: Path, tokenizer_file: Path | None, context: int | None, as_json: bool
) -> None:
    """A trained model as a Hugging Face folder, with its tokenizer and a model card.

    The card of a study's run tells what it was trained on, by which generator and recipes, and how
    it scored; the tokenizer is the study's own unless another is given.

    \b
    Examples:
      synthlaw export --model runs/first --tokenizer tokens/natural/tokenizer.json --out hf
      synthlaw export --model demo/artifacts/training/33HQ-0.8M-40k-s0-* --out hf
    """
    from synthlaw.study.results.provenance import run_provenance
    from synthlaw.tokens.tokenizer import Tokenizer
    from synthlaw.training.checkpoint import load_model
    from synthlaw.training.export import export_model

    if out.exists() and any(out.iterdir()) and not (out / "model.safetensors").exists():
        raise UsageError(f"{out}: holds other files; expected a new or empty folder")
    study = run_provenance(model)
    if tokenizer_file is None and study is not None:
        tokenizer_file = study.tokenizer
    tokenizer = Tokenizer(tokenizer_file) if tokenizer_file else None
    result = _result(model)
    trained = result.get("identity", {}).get("config", {}).get("context", 4096)
    told: dict[str, Any] = {n: result[n] for n in TOLD if n in result}
    place = export_model(
        load_model(_model_folder(model)),
        out,
        context=context or trained,
        tokenizer=tokenizer_file,
        bos=tokenizer.bos if tokenizer else None,
        eos=tokenizer.eos if tokenizer else None,
        provenance={**told, **(study.rows if study is not None else {})},
    )
    answer({"folder": str(place)}, [str(place)], as_json)


def _result(model: Path) -> dict[str, Any]:
    """What the run says of itself; nothing where there is no run."""
    path = model / "result.json"
    result: dict[str, Any] = read_json(path) if path.exists() else {}
    return result
