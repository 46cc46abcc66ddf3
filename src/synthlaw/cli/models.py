"""Single stages over models: train, export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthlaw.cli.options import (
    MixtureOptions,
    export_option,
    mixture_options,
    model_option,
    out_option,
    tokenizer_option,
)
from synthlaw.cli.output import answer, json_option
from synthlaw.cli.training_options import (
    settled_dtype,
    size_option,
    threads_option,
    training_config,
    training_options,
)
from synthlaw.common.files import read_json, write_json, write_text
from synthlaw.common.numbers import format_count
from synthlaw.common.ownership import check_replaceable
from synthlaw.common.progress import meter, say

if TYPE_CHECKING:  # brings torch
    from synthlaw.tokens.dataset import TokenDataset
    from synthlaw.tokens.sampler import Sampler
    from synthlaw.training.config import TrainingConfig
    from synthlaw.training.result import TrainingResult

TOLD = ("tokens", "steps", "loss", "flops")
"""What a model card tells of a run's result."""


@click.command()
@mixture_options
@out_option
@size_option
@training_options()
@threads_option
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Train on so many GPUs of this machine, one process each.",
)
@json_option
def train(
    mixture: MixtureOptions,
    out: Path,
    size: str,
    training: dict[str, Any],
    threads: int,
    processes: int,
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
    from synthlaw.training.precision import request_of
    from synthlaw.training.presets import preset

    sampler, sets = mixture.sampler()
    manifest = next(iter(sets.values())).manifest
    config = training_config(
        mixture,
        training,
        shape=preset(size, manifest.vocab),
        document_start=manifest.bos if "document_masking" in training else None,
        threads=threads,
    )
    sampler.check(config.steps * config.rows)
    with alone_in(out):
        _keep_data(sets, mixture, out)
        settled = settled_dtype(out, request_of(config, training.get("dtype", "auto")))
        config = config.model_copy(update={"dtype": settled})
        result = _trained(config, sampler, out, f"training {size}")
    _tell(result, config.dtype, out, as_json)
    if result.status != "finished":
        raise SystemExit(1)


def _trained(config: TrainingConfig, sampler: Sampler, out: Path, label: str) -> TrainingResult:
    from synthlaw.training.loop import TrainingProgress, train

    with meter(label, config.tokens, "token") as bar:

        def on_progress(progress: TrainingProgress) -> None:
            bar.update(progress.tokens, f"loss {progress.loss:.3f}")

        return train(config, sampler, out, on_progress=on_progress)


def _keep_data(sets: dict[str, TokenDataset], mixture: MixtureOptions, out: Path) -> None:
    """Note beside the run what it reads, with its tokenizer, for `evaluate` and `export`."""
    from synthlaw.tokens.dataset import TOKENIZER_FILE
    from synthlaw.training.result import DATA_FILE

    first = next(iter(sets.values()))
    tokenizer = {"name": first.manifest.tokenizer_name, "digest": first.manifest.tokenizer}
    own = first.folder / TOKENIZER_FILE
    if own.is_file() and not (out / TOKENIZER_FILE).exists():
        write_text(out / TOKENIZER_FILE, own.read_text(encoding="utf-8"))
    write_json(
        out / DATA_FILE,
        {
            "tokenizer": tokenizer,
            "shares": mixture.shares,
            "phases": mixture.phases,
            "sources": {name: data.identity for name, data in sets.items()},
        },
    )


def _tell(result: TrainingResult, dtype: str, out: Path, as_json: bool) -> None:
    value = {
        "status": result.status,
        "steps": result.steps,
        "tokens": result.tokens,
        "params": result.params,
        "params_total": result.params_total,
        "flops": result.flops,
        "dtype": dtype,
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
@export_option
@tokenizer_option
@click.option(
    "--context",
    type=click.IntRange(min=1),
    help="Positions that the model was trained on.  [default: the run's, else 4096]",
)
@json_option
def export(
    model: Path, out: Path, tokenizer_place: str | None, context: int | None, as_json: bool
) -> None:
    """A trained model as a Hugging Face folder, with its tokenizer and a model card.

    The card of a study's run tells what it was trained on, by which generator and recipes, and how
    it scored; the tokenizer is the study's own unless another is given.

    \b
    Examples:
      synthlaw export --model runs/first --tokenizer tokens/natural/tokenizer.json --out hf
      synthlaw export --model demo/artifacts/training/33HQ-0.8M-40k-s0-* --out hf
    """
    from synthlaw.evaluation.loading import tokenizer_beside
    from synthlaw.study.results.provenance import run_provenance
    from synthlaw.tokens.tokenizer import Tokenizer
    from synthlaw.training.checkpoint import load_model
    from synthlaw.training.export import export_model

    if out.is_dir():
        check_replaceable(out, "export")
    study = run_provenance(model)
    place = tokenizer_place or (study.tokenizer if study else None) or tokenizer_beside(model)
    tokenizer = Tokenizer(place) if place else None
    if tokenizer is None:
        say(
            f"{model}: no tokenizer is known for it; the export has none, and no BOS and EOS. "
            "--tokenizer names one"
        )
    result = _result(model)
    trained = result.get("identity", {}).get("config", {}).get("context", 4096)
    told: dict[str, Any] = {n: result[n] for n in TOLD if n in result}
    written = export_model(
        load_model(_model_folder(model)),
        out,
        context=context or trained,
        tokenizer=tokenizer.as_json() if tokenizer else None,
        bos=tokenizer.bos if tokenizer else None,
        eos=tokenizer.eos if tokenizer else None,
        provenance={**told, **(study.rows if study is not None else {})},
    )
    answer({"folder": str(written)}, [str(written)], as_json)


def _result(model: Path) -> dict[str, Any]:
    """What the run says of itself; nothing where there is no run."""
    path = model / "result.json"
    result: dict[str, Any] = read_json(path) if path.exists() else {}
    return result
