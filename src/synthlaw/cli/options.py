"""Options that the commands for single stages share, and what their values mean."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synthlaw.common.errors import UsageError

if TYPE_CHECKING:  # loaded when a command needs them
    from synthlaw.corpus.documents import Document
    from synthlaw.tokens.dataset import TokenDataset
    from synthlaw.tokens.sampler import MixtureSampler

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
    sources: tuple[str, ...], shares: tuple[str, ...], context: int, seed: int, max_epochs: float
) -> tuple[MixtureSampler, dict[str, TokenDataset]]:
    """The mixture that --source and --share describe, and its token sets by name."""
    from synthlaw.tokens.dataset import TokenDataset
    from synthlaw.tokens.sampler import MixtureSampler

    folders = {name: Path(place) for name, place in pairs(sources, "--source").items()}
    weights: dict[str, float] = {}
    for name, value in pairs(shares, "--share").items():
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
