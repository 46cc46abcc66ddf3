"""Single stages over tokens: tokenize, check, mix."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from synthlaw.cli.options import MixtureOptions, input_option, mixture_options, out_option
from synthlaw.cli.output import answer, json_option
from synthlaw.common.digest import digest_of, file_digest
from synthlaw.common.errors import UsageError
from synthlaw.common.files import atomic_path, read_json, write_json
from synthlaw.common.machine import usable_cores
from synthlaw.common.numbers import parse_count
from synthlaw.common.progress import meter
from synthlaw.tokens.export import export_mixture, format_names
from synthlaw.tokens.mixture import Mixture

if TYPE_CHECKING:  # loaded when a command needs them
    from synthlaw.corpus.readers.input_file import InputFile
    from synthlaw.tokens.dataset import TokenDataset
    from synthlaw.tokens.sampler import Sampler
    from synthlaw.tokens.tokenizer import Tokenizer

TRAINED = "trained.json"
"""Beside a tokenizer that `tokenize --vocab` trained: what it was trained on."""

place_option = click.option(
    "--tokenizer",
    "place",
    help="llama3, a tokenizer.json, a .tiktoken file, or tiktoken:NAME (needs the network).",
)


@click.command()
@input_option
@out_option
@place_option
@click.option("--vocab", type=int, help="Train a BPE of so many entries on the input instead.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=usable_cores(),
    show_default="cores",
    help="Processes; the bytes are the same for any number.",
)
@click.option(
    "--shard-text",
    default="256M",
    show_default=True,
    help="Characters of text per shard; a killed run loses at most one shard's work.",
)
@json_option
def tokenize(
    inputs: tuple[str, ...],
    out: Path,
    place: str | None,
    vocab: int | None,
    workers: int,
    shard_text: str,
    as_json: bool,
) -> None:
    """Documents to a token set in --out; the same command resumes or repairs it.

    \b
    Examples:
      synthlaw tokenize --input corpus/documents --vocab 4096 --out tokens/natural
      synthlaw tokenize --input hq/documents --out tokens/hq \\
        --tokenizer tokens/natural/tokenizer.json
      synthlaw tokenize --input 'crawl/*.jsonl.gz' --tokenizer llama3 --out tokens/crawl
    """
    from synthlaw.corpus.readers.sources import all_input_files
    from synthlaw.execute.base import ExecutorSettings
    from synthlaw.execute.registry import make_executor
    from synthlaw.tokens.dataset import TOKENIZER_FILE
    from synthlaw.tokens.tokenizer import Tokenizer
    from synthlaw.tokens.writing import write_dataset

    if (place is None) == (vocab is None):
        raise UsageError("give one of --tokenizer and --vocab")
    pieces = list(all_input_files(inputs, Path.cwd()))
    if vocab is not None:
        place = str(_trained(out, vocab, pieces))
    assert place is not None
    tokenizer = Tokenizer(place)
    with make_executor("local", ExecutorSettings(workers=workers)) as executor:
        manifest = write_dataset(
            out,
            pieces,
            tokenizer,
            executor,
            shard_characters=round(parse_count(shard_text, "--shard-text")),
        )
    if (
        tokenizer.path.suffix == ".json"
        and tokenizer.path.resolve() != (out / TOKENIZER_FILE).resolve()
    ):
        with atomic_path(out / TOKENIZER_FILE) as aside:
            aside.write_bytes(tokenizer.path.read_bytes())
    value = {key: item for key, item in asdict(manifest).items() if key != "shards"}
    value["shards"] = len(manifest.shards)
    line = (
        f"{manifest.tokens:,} tokens in {manifest.documents:,} documents and "
        f"{value['shards']:,} shards ({manifest.bytes / max(manifest.tokens, 1):.2f} bytes a "
        f"token), in {out}"
    )
    answer(value, [line], as_json)


def _trained(out: Path, vocab: int, pieces: list[InputFile]) -> Path:
    """The BPE trained on the input, found again if an earlier run of this very work left it."""
    from synthlaw.corpus.sampling import first_texts
    from synthlaw.tokens.dataset import TOKENIZER_FILE
    from synthlaw.tokens.tokenizer import BPE_BYTES, Sample, train_bpe
    from synthlaw.tokens.writing import holds_set

    place, note = out / TOKENIZER_FILE, out / TRAINED
    key = digest_of([[piece.key() for piece in pieces], vocab, BPE_BYTES])
    if note.exists() and place.exists():
        value = read_json(note)
        if value["sha256"] != file_digest(place):
            raise UsageError(
                f"{place}: was changed after `tokenize --vocab` trained it; remove {out} or give "
                "another folder"
            )
        if value["key"] == key:
            return place
    if holds_set(out):
        raise UsageError(
            f"{out}: holds a token set of another tokenizer; remove it or give another folder"
        )
    sample = Sample()
    train_bpe(sample.counted(first_texts(pieces, BPE_BYTES)), vocab, place)
    write_json(note, {"key": key, "sha256": file_digest(place), "sample": sample.record()})
    return place


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@place_option
@json_option
def check(folder: Path, place: str | None, as_json: bool) -> None:
    """Compare every file of a token set with its SHA-256; with --tokenizer, that one too.

    Exit status 2, and each damaged file named, when something is wrong.

    \b
    Examples:
      synthlaw check tokens/natural
      synthlaw check tokens/crawl --tokenizer llama3
    """
    from synthlaw.tokens.dataset import mending, problems_of, read_manifest, tokenizer_problem
    from synthlaw.tokens.tokenizer import Tokenizer

    manifest = read_manifest(folder)
    total = manifest.tokens * np.dtype(manifest.dtype).itemsize
    with meter("checking", total, "B") as bar:
        problems = problems_of(
            folder,
            manifest,
            verify=True,
            on_shard=lambda shard: bar.advance(shard.tokens * np.dtype(manifest.dtype).itemsize),
        )
    if place is not None and (other := tokenizer_problem(folder, manifest, Tokenizer(place))):
        problems.append(other)
    value = {
        "folder": str(folder),
        "shards": len(manifest.shards),
        "tokens": manifest.tokens,
        "documents": manifest.documents,
        "tokenizer": manifest.tokenizer_name,
        "problems": problems,
    }
    good = (
        f"{folder}: {manifest.tokens:,} tokens in {len(manifest.shards):,} shards are as written, "
        f"by the tokenizer {manifest.tokenizer_name}"
    )
    answer(value, [] if problems else [good], as_json)
    if problems:
        for problem in [*problems, mending(folder)]:
            click.echo(f"error: {problem}", err=True)
        raise SystemExit(2)


@click.command()
@mixture_options
@click.option("--preview", default=0, help="Print the first N windows as text.")
@click.option(
    "--format",
    "form",
    type=click.Choice(format_names()),
    help="Write the windows to --out in training order, for another trainer.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="For --format: a new or empty folder, or an earlier export, which is replaced.",
)
@place_option
@json_option
def mix(
    mixture: MixtureOptions,
    preview: int,
    form: str | None,
    out: Path | None,
    place: str | None,
    as_json: bool,
) -> None:
    """Realised shares and epochs of a mixture; refuses a budget beyond the data.

    \b
    Examples:
      synthlaw mix --source natural=tokens/natural --source hq=tokens/hq \\
        --share natural=0.67 --share hq=0.33 --tokens 10M --context 512 --preview 3
      synthlaw mix … --share natural=1 --phase 0.8:natural=0.5,hq=0.5 --tokens 10M
      synthlaw mix … --share natural=1 --unique natural=1M --max-epochs 4 --tokens 4M
      synthlaw mix … --tokens 10M --format megatron --out mixture
    """
    if (form is None) != (out is None):
        raise UsageError("mix: --format and --out go together")
    sampler, sets = mixture.sampler()
    by, context = mixture.by, mixture.context
    windows = round(mixture.count() / context)
    if windows < 1:
        raise UsageError(
            f"--tokens: found {mixture.tokens}; expected at least one window of {context}"
        )
    sampler.check(windows)
    uses = [asdict(use) for use in sampler.use(windows)]
    value = {"by": by, "windows": windows, "tokens": windows * context, "sources": uses}
    lines = [
        f"{use['source']}: {use['share_realised']:.4f} of tokens ({use['share_asked']:.4g} of {by} "
        "asked), "
        f"{use['tokens']:,} tokens, {use['epochs']:.3f} epochs"
        for use in uses
    ]
    if preview:
        tokenizer = _tokenizer_of(place, sets)
        texts = [tokenizer.decode(sampler.window(n)) for n in range(min(preview, windows))]
        value["preview"] = texts
        lines += [f"window {n}: {text!r}" for n, text in enumerate(texts)]
    if form is not None and out is not None:
        value["out"], value["format"] = str(out), form
        lines.append(_exported(sampler, windows, sets, place, form, out))
    answer(value, lines, as_json)


def _exported(
    sampler: Sampler,
    windows: int,
    sets: dict[str, TokenDataset],
    place: str | None,
    form: str,
    out: Path,
) -> str:
    """Write the mixture out; what is said of it."""
    vocab = max(data.manifest.vocab for data in sets.values())
    with_text = form != "megatron"
    tokenizer = _tokenizer_of(place, sets) if with_text else None
    export_mixture(Mixture(sampler, windows, vocab, tokenizer), form, out)
    return f"{windows:,} windows of {sampler.context + 1} ids in {out}"


def _tokenizer_of(place: str | None, sets: dict[str, TokenDataset]) -> Tokenizer:
    """The tokenizer of the sets: the one given, or what the sets themselves hold or name."""
    from synthlaw.tokens.dataset import TOKENIZER_FILE
    from synthlaw.tokens.tokenizer import Tokenizer, is_named

    data = next(iter(sets.values()))
    if place is None:
        own = data.folder / TOKENIZER_FILE
        named = data.manifest.tokenizer_name
        if not own.exists() and not is_named(named):
            raise UsageError(f"the text needs --tokenizer {named}: the set holds no copy of it")
        place = str(own) if own.exists() else named
    tokenizer = Tokenizer(place)
    data.require_tokenizer(tokenizer)
    return tokenizer
