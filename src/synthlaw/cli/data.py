"""Single stages over text and tokens: prepare, tokenize, mix."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from synthlaw.cli.options import (
    context_option,
    documents_of,
    epochs_option,
    input_option,
    out_option,
    sampler_of,
    seed_option,
    share_option,
    source_option,
    tokenizer_option,
    tokens_option,
)
from synthlaw.cli.output import answer, json_option
from synthlaw.common.errors import UsageError
from synthlaw.common.files import write_json
from synthlaw.common.numbers import parse_count


@click.command()
@input_option
@out_option
@click.option(
    "--max-words",
    type=click.IntRange(min=0),
    default=0,
    help="Cut longer documents to pieces; 0 keeps them whole.",
)
@click.option("--held-out", default=0.0, help="Share of documents set aside.")
@seed_option
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
    ready = prepare_documents(
        documents_of(inputs), held_out=held_out, max_words=max_words, seed=seed
    )
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
@input_option
@out_option
@tokenizer_option
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
    from synthlaw.tokens.tokenizer import Tokenizer, train_bpe
    from synthlaw.tokens.writing import write_dataset

    if (tokenizer_file is None) == (vocab is None):
        raise UsageError("give one of --tokenizer FILE and --vocab N")
    if tokenizer_file is None:
        assert vocab is not None
        tokenizer_file = out / "tokenizer.json"
        train_bpe((doc.text for doc in documents_of(inputs)), vocab, tokenizer_file)
    manifest = write_dataset(
        out, (doc.text for doc in documents_of(inputs)), Tokenizer(tokenizer_file)
    )
    line = (
        f"{manifest.tokens:,} tokens in {manifest.documents:,} documents "
        f"({manifest.bytes / max(manifest.tokens, 1):.2f} bytes a token), in {out}"
    )
    answer(asdict(manifest), [line], as_json)


@click.command()
@source_option
@share_option
@tokens_option
@context_option
@epochs_option
@seed_option
@click.option("--preview", default=0, help="Print the first N windows as text.")
@tokenizer_option
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
    sampler, _ = sampler_of(sources, shares, context, seed, max_epochs)
    windows = round(parse_count(tokens, "--tokens") / context)
    if windows < 1:
        raise UsageError(f"--tokens: found {tokens}; expected at least one window of {context}")
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
