"""Single stages: prepare, tokenize, mix, train, evaluate, export. Each writes to its `--out`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from synthlaw.cli.output import answer, json_option
from synthlaw.common.errors import UsageError
from synthlaw.common.files import write_json
from synthlaw.common.numbers import format_count, parse_count
from synthlaw.common.progress import meter

_OUT = click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Result folder."
)
_INPUT = click.option(
    "--input", "inputs", required=True, multiple=True, help="File, folder or pattern; repeatable."
)
_SEED = click.option("--seed", default=0, show_default=True)
_TOKENIZER = click.option(
    "--tokenizer",
    "tokenizer_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A Hugging Face tokenizer.json.",
)
_SOURCES = click.option(
    "--source", "sources", multiple=True, required=True, help="NAME=FOLDER of a token set."
)
_SHARES = click.option(
    "--share", "shares", multiple=True, required=True, help="NAME=SHARE; shares add to 1."
)
_CONTEXT = click.option("--context", default=4096, show_default=True, help="Tokens per window.")
_TOKENS = click.option("--tokens", required=True, help="Training tokens, such as 200k or 1e9.")
_EPOCHS = click.option(
    "--max-epochs", default=1.0, show_default=True, help="How often a source may be read."
)


def _pairs(items: tuple[str, ...], option: str) -> dict[str, str]:
    """NAME=VALUE options as a dictionary."""
    found: dict[str, str] = {}
    for item in items:
        name, sign, value = item.partition("=")
        if not (sign and name and value):
            raise UsageError(f"{option}: found {item!r}; expected NAME=VALUE")
        if name in found:
            raise UsageError(f"{option}: {name!r} is given twice")
        found[name] = value
    return found


def _documents(inputs: tuple[str, ...]) -> Any:
    from synthlaw.corpus.readers import find_files, read_files

    return read_files([file for place in inputs for file in find_files(place, Path.cwd())])


@click.command()
@_INPUT
@_OUT
@click.option("--max-words", default=0, help="Cut longer documents to pieces; 0 keeps them whole.")
@click.option("--held-out", default=0.0, help="Share of documents set aside.")
@_SEED
@json_option
def prepare(
    inputs: tuple[str, ...], out: Path, max_words: int, held_out: float, seed: int, as_json: bool
) -> None:
    """Natural text to documents.parquet and held_out.parquet: deduplicated, cut, split.

    \b
    Example:
      synthlaw prepare --input 'crawl/*.jsonl.gz' --held-out 0.01 --out corpus
    """
    from synthlaw.corpus.documents import write_documents
    from synthlaw.corpus.prepare import prepare as prepare_documents

    if not 0 <= held_out < 1:
        raise UsageError(f"--held-out: found {held_out}; expected a share from 0 to below 1")
    ready = prepare_documents(_documents(inputs), held_out=held_out, max_words=max_words, seed=seed)
    write_documents(out / "documents.parquet", ready.training)
    write_documents(out / "held_out.parquet", ready.held_out)
    counts = {
        "documents": len(ready.training),
        "held_out": len(ready.held_out),
        "left_out": ready.left_out,
    }
    write_json(out / "counts.json", counts)
    lines = [f"{counts['documents']:,} documents, {counts['held_out']:,} held out, in {out}"]
    lines += [f"left out: {count:,} with {reason}" for reason, count in ready.left_out.items()]
    answer(counts, lines, as_json)


@click.command()
@_INPUT
@_OUT
@_TOKENIZER
@click.option("--vocab", type=int, help="Train a BPE of so many entries on the input instead.")
@json_option
def tokenize(
    inputs: tuple[str, ...],
    out: Path,
    tokenizer_file: Path | None,
    vocab: int | None,
    as_json: bool,
) -> None:
    """Documents to a token set in --out.

    \b
    Examples:
      synthlaw tokenize --input corpus/documents.parquet --vocab 4096 --out tokens/natural
      synthlaw tokenize --input hq/documents --out tokens/hq \\
        --tokenizer tokens/natural/tokenizer.json
    """
    from synthlaw.tokens.dataset import write_dataset
    from synthlaw.tokens.tokenizer import Tokenizer, train_bpe

    if (tokenizer_file is None) == (vocab is None):
        raise UsageError("give one of --tokenizer FILE and --vocab N")
    if tokenizer_file is None:
        assert vocab is not None
        tokenizer_file = out / "tokenizer.json"
        train_bpe((doc.text for doc in _documents(inputs)), vocab, tokenizer_file)
    manifest = write_dataset(
        out, (doc.text for doc in _documents(inputs)), Tokenizer(tokenizer_file)
    )
    line = (
        f"{manifest.tokens:,} tokens in {manifest.documents:,} documents "
        f"({manifest.bytes / max(manifest.tokens, 1):.2f} bytes a token), in {out}"
    )
    answer(asdict(manifest), [line], as_json)


def _sampler(
    sources: tuple[str, ...], shares: tuple[str, ...], context: int, seed: int, max_epochs: float
) -> Any:
    from synthlaw.tokens.dataset import TokenDataset
    from synthlaw.tokens.sampler import MixtureSampler

    folders = {name: Path(place) for name, place in _pairs(sources, "--source").items()}
    weights: dict[str, float] = {}
    for name, value in _pairs(shares, "--share").items():
        if name not in folders:
            raise UsageError(f"--share: {name!r} has no --source; there are {', '.join(folders)}")
        try:
            weights[name] = float(value)
        except ValueError:
            raise UsageError(f"--share {name}: found {value!r}; expected a number") from None
    sets = {name: TokenDataset(folders[name]) for name in weights}
    tokenizers = {name: data.manifest.tokenizer for name, data in sets.items()}
    if len(set(tokenizers.values())) > 1:
        raise UsageError(f"--source: the sets were made with different tokenizers: {tokenizers}")
    return MixtureSampler(sets, weights, context=context, seed=seed, max_epochs=max_epochs), sets


@click.command()
@_SOURCES
@_SHARES
@_TOKENS
@_CONTEXT
@_EPOCHS
@_SEED
@click.option("--preview", default=0, help="Print the first N windows as text.")
@_TOKENIZER
@json_option
def mix(
    sources: tuple[str, ...],
    shares: tuple[str, ...],
    tokens: str,
    context: int,
    max_epochs: float,
    seed: int,
    preview: int,
    tokenizer_file: Path | None,
    as_json: bool,
) -> None:
    """Realised shares and epochs of a mixture; refuses a budget beyond the data.

    \b
    Example:
      synthlaw mix --source natural=tokens/natural --source hq=tokens/hq \\
        --share natural=0.67 --share hq=0.33 --tokens 10M --context 512
    """
    sampler, _ = _sampler(sources, shares, context, seed, max_epochs)
    windows = round(parse_count(tokens, "--tokens") / context)
    sampler.check(windows)
    uses = [asdict(use) for use in sampler.use(windows)]
    value = {"windows": windows, "tokens": windows * context, "sources": uses}
    lines = [
        f"{use['source']}: {use['share_realised']:.4f} of {use['share_asked']:g} asked, "
        f"{use['tokens']:,} tokens, {use['epochs']:.3f} epochs"
        for use in uses
    ]
    if preview:
        if tokenizer_file is None:
            raise UsageError("--preview needs --tokenizer")
        from synthlaw.tokens.tokenizer import Tokenizer

        tokenizer = Tokenizer(tokenizer_file)
        texts = [tokenizer.decode(sampler.window(n)) for n in range(min(preview, windows))]
        value["preview"] = texts
        lines += [f"window {n}: {text!r}" for n, text in enumerate(texts)]
    answer(value, lines, as_json)


@click.command()
@_SOURCES
@_SHARES
@_TOKENS
@_CONTEXT
@_EPOCHS
@_SEED
@_OUT
@click.option("--size", required=True, help="A preset, such as 0.3M or 1B.")
@click.option("--batch-tokens", default="1M", show_default=True, help="Tokens per step.")
@click.option("--learning-rate", default=3e-4, show_default=True)
@click.option("--dtype", type=click.Choice(["bf16", "fp32"]), default="bf16", show_default=True)
@click.option("--threads", default=0, help="CPU threads; 0 leaves torch's setting.")
@json_option
def train(
    sources: tuple[str, ...],
    shares: tuple[str, ...],
    tokens: str,
    context: int,
    max_epochs: float,
    seed: int,
    out: Path,
    size: str,
    batch_tokens: str,
    learning_rate: float,
    dtype: str,
    threads: int,
    as_json: bool,
) -> None:
    """Train one model on one mixture; resumes what is in --out.

    \b
    Example:
      synthlaw train --source natural=tokens/natural --share natural=1 --size 0.3M \\
        --tokens 1M --context 256 --batch-tokens 4096 --learning-rate 3e-3 --out runs/first
    """
    from synthlaw.training.config import TrainingConfig
    from synthlaw.training.loop import TrainingProgress
    from synthlaw.training.loop import train as train_model
    from synthlaw.training.presets import preset

    sampler, sets = _sampler(sources, shares, context, seed, max_epochs)
    per_step = parse_count(batch_tokens, "--batch-tokens")
    config = TrainingConfig(
        shape=preset(size, next(iter(sets.values())).manifest.vocab),
        context=context,
        # A count such as 1M means the nearest whole number of windows.
        batch_tokens=max(1, round(per_step / context)) * context,
        budget=round(parse_count(tokens, "--tokens")),
        seed=seed,
        peak_lr=learning_rate,
        dtype="bf16" if dtype == "bf16" else "fp32",
        threads=threads,
    )
    sampler.check(config.steps * config.rows)
    with meter(f"training {size}", config.tokens, "token") as bar:

        def on_progress(progress: TrainingProgress) -> None:
            bar.update(progress.tokens, f"loss {progress.loss:.3f}")

        result = train_model(config, sampler, out, on_progress=on_progress)
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
    if result.status != "finished":
        raise SystemExit(1)
