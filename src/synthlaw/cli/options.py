"""Options that the commands for single stages share, and what their values mean."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import parse_count

if TYPE_CHECKING:  # loaded when a command needs them
    from synthlaw.corpus.documents import Document
    from synthlaw.tokens.dataset import TokenDataset
    from synthlaw.tokens.sampler import Sampler

out_option = click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Result folder."
)
input_option = click.option(
    "--input", "inputs", required=True, multiple=True, help="File, folder or pattern; repeatable."
)
seed_option = click.option("--seed", default=0, show_default=True)
tokenizer_option = click.option(
    "--tokenizer",
    "tokenizer_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A Hugging Face tokenizer.json.",
)
source_option = click.option(
    "--source", "sources", multiple=True, required=True, help="NAME=FOLDER of a token set."
)
share_option = click.option(
    "--share", "shares", multiple=True, required=True, help="NAME=SHARE; shares add to 1."
)
context_option = click.option(
    "--context",
    type=click.IntRange(min=1),
    default=4096,
    show_default=True,
    help="Tokens per window.",
)
tokens_option = click.option(
    "--tokens", required=True, help="Training tokens, such as 200k or 1e9."
)
epochs_option = click.option(
    "--max-epochs", default=1.0, show_default=True, help="How often a source may be read."
)
phase_option = click.option(
    "--phase",
    "phases",
    multiple=True,
    help="FROM:NAME=SHARE,…: other shares from that part (0 to 1) of the tokens on; repeatable.",
)
unique_option = click.option(
    "--unique",
    multiple=True,
    help="NAME=TOKENS: read only so many tokens of a source, however often; repeatable.",
)
by_option = click.option(
    "--by",
    type=click.Choice(["tokens", "documents"]),
    default="tokens",
    show_default=True,
    help="What the shares are shares of; documents is how Lingua samples.",
)
model_option = click.option(
    "--model",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    help="A folder that `train` has filled.",
)


def pairs(items: tuple[str, ...], option: str) -> dict[str, str]:
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


def documents_of(inputs: tuple[str, ...]) -> Iterator[Document]:
    """Documents of every place that --input names, in order; see corpus/places.py."""
    from synthlaw.corpus.places import all_pieces
    from synthlaw.corpus.readers import read_piece

    pieces = list(all_pieces(inputs, Path.cwd(), digest=lambda path: ""))
    return (document for piece in pieces for document in read_piece(piece))


def sampler_of(
    sources: tuple[str, ...],
    shares: tuple[str, ...],
    context: int,
    seed: int,
    max_epochs: float,
    *,
    tokens: str = "",
    phases: tuple[str, ...] = (),
    unique: tuple[str, ...] = (),
    by: str = "tokens",
) -> tuple[Sampler, dict[str, TokenDataset]]:
    """The mixture that the options describe, and its token sets by name.

    tokens: of the run, which phases are parts of.
    """
    from synthlaw.tokens.dataset import TokenDataset
    from synthlaw.tokens.document_sampler import DocumentSampler
    from synthlaw.tokens.sampler import MixtureSampler
    from synthlaw.tokens.shares import Phase

    folders = {name: Path(place) for name, place in pairs(sources, "--source").items()}
    parts = [Phase(0, _shares(shares, "--share", folders))]
    for phase in phases:
        start, colon, listed = phase.partition(":")
        windows = parse_count(tokens, "--tokens") / context * _number(start, "--phase")
        if not colon or not 0 < _number(start, "--phase") < 1:
            raise UsageError(f"--phase: found {phase!r}; expected FROM:NAME=SHARE,… as 0.8:a=0.5,…")
        shared = _shares(tuple(listed.split(",")), "--phase", folders)
        parts.append(Phase(round(windows), shared))
    names = dict.fromkeys(name for part in parts for name in part.shares)
    sets = {name: TokenDataset(folders[name]) for name in names}
    tokenizers = {name: data.manifest.tokenizer for name, data in sets.items()}
    if len(set(tokenizers.values())) > 1:
        raise UsageError(f"--source: the sets were made with different tokenizers: {tokenizers}")
    if by == "documents":
        if phases or unique:
            raise UsageError("--by documents: takes neither --phase nor --unique")
        plain = dict(parts[0].shares)
        return DocumentSampler(sets, plain, context=context, seed=seed, max_epochs=max_epochs), sets
    limits = {
        name: parse_count(count, f"--unique {name}")
        for name, count in pairs(unique, "--unique").items()
    }
    for name in limits:
        if name not in sets:
            raise UsageError(f"--unique: {name!r} has no --share; there are {', '.join(sets)}")
    sampler = MixtureSampler(
        sets, parts, context=context, seed=seed, max_epochs=max_epochs, unique=limits
    )
    return sampler, sets


def _shares(items: tuple[str, ...], option: str, folders: dict[str, Path]) -> dict[str, float]:
    """NAME=SHARE options as a dictionary of sources that there are."""
    found = {name: _number(value, option) for name, value in pairs(items, option).items()}
    for name in found:
        if name not in folders:
            raise UsageError(f"{option}: {name!r} has no --source; there are {', '.join(folders)}")
    return found


def _number(value: str, option: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise UsageError(f"{option}: found {value!r}; expected a number") from None
