"""A single stage over text: prepare."""

from __future__ import annotations

from pathlib import Path

import click

from synthlaw.cli.options import documents_of, input_option, out_option, seed_option
from synthlaw.cli.output import answer, json_option
from synthlaw.common.errors import UsageError
from synthlaw.common.files import write_json


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
