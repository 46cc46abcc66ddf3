"""Options that the commands for single stages share, and what their values mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import parse_count
from synthlaw.common.ownership import claimed

if TYPE_CHECKING:  # loaded when a command needs them
    from synthlaw.corpus.documents import Document
    from synthlaw.tokens.dataset import TokenDataset
    from synthlaw.tokens.sampler import Sampler
    from synthlaw.tokens.shares import Phase


def own_folder(context: click.Context, _: click.Parameter, folder: Path | None) -> Path | None:
    """Refuse a folder that holds what this command did not write; mark it as the command's."""
    if folder is not None and not context.resilient_parsing:
        context.with_resource(claimed(folder, str(context.info_name)))
    return folder


out_option = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    callback=own_folder,
    help="Result folder: new, empty, or one that this command has filled.",
)
export_option = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Result folder: new, empty, or an earlier export, which is replaced.",
)
input_option = click.option(
    "--input", "inputs", required=True, multiple=True, help="File, folder or pattern; repeatable."
)
seed_option = click.option("--seed", default=0, show_default=True)
tokenizer_option = click.option(
    "--tokenizer",
    "tokenizer_place",
    help="A file, llama3 or tiktoken:NAME.  [default: the model's own]",
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
    """Documents of every place that --input names, in order; see corpus/readers/sources.py."""
    from synthlaw.corpus.readers.read import read_pieces
    from synthlaw.corpus.readers.sources import all_input_files

    return read_pieces(list(all_input_files(inputs, Path.cwd(), digest=lambda path: "")))


@dataclass(frozen=True)
class MixtureOptions:
    """The mixture that a command's options describe, as they were written."""

    sources: tuple[str, ...]
    shares: tuple[str, ...]
    tokens: str
    context: int
    seed: int
    max_epochs: float = 1.0
    phases: tuple[str, ...] = ()
    unique: tuple[str, ...] = ()
    by: str = "tokens"

    def count(self) -> float:
        """--tokens as a number."""
        return parse_count(self.tokens, "--tokens")

    def sampler(self) -> tuple[Sampler, dict[str, TokenDataset]]:
        """The mixture, and its token sets by name."""
        from synthlaw.tokens.dataset import TokenDataset
        from synthlaw.tokens.document_sampler import DocumentSampler
        from synthlaw.tokens.sampler import MixtureSampler

        folders = {name: Path(place) for name, place in pairs(self.sources, "--source").items()}
        parts = self._parts(folders)
        names = dict.fromkeys(name for part in parts for name in part.shares)
        sets = {name: TokenDataset(folders[name]) for name in names}
        made_with = {name: data.manifest.tokenizer for name, data in sets.items()}
        if len(set(made_with.values())) > 1:
            raise UsageError(f"--source: the sets were made with different tokenizers: {made_with}")
        order: dict[str, Any] = {
            "context": self.context,
            "seed": self.seed,
            "max_epochs": self.max_epochs,
        }
        if self.by == "documents":
            if self.phases or self.unique:
                raise UsageError("--by documents: takes neither --phase nor --unique")
            return DocumentSampler(sets, dict(parts[0].shares), **order), sets
        return MixtureSampler(sets, parts, unique=self._limits(sets), **order), sets

    def _parts(self, folders: dict[str, Path]) -> list[Phase]:
        """Shares from the start, then those of every --phase."""
        from synthlaw.tokens.shares import Phase

        parts = [Phase(0, _shares(self.shares, "--share", folders))]
        for phase in self.phases:
            start, colon, listed = phase.partition(":")
            part = _number(start, "--phase")
            if not colon or not 0 < part < 1:
                raise UsageError(
                    f"--phase: found {phase!r}; expected FROM:NAME=SHARE,… as 0.8:a=0.5,…"
                )
            shares = _shares(tuple(listed.split(",")), "--phase", folders)
            parts.append(Phase(round(self.count() / self.context * part), shares))
        return parts

    def _limits(self, sets: dict[str, TokenDataset]) -> dict[str, float]:
        """Unique tokens by source."""
        limits = {
            name: parse_count(count, f"--unique {name}")
            for name, count in pairs(self.unique, "--unique").items()
        }
        for name in limits:
            if name not in sets:
                raise UsageError(f"--unique: {name!r} has no --share; there are {', '.join(sets)}")
        return limits


_MIXTURE = (
    source_option,
    share_option,
    tokens_option,
    context_option,
    epochs_option,
    seed_option,
    phase_option,
    unique_option,
    by_option,
)


def mixture_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a mixture; it takes them as `mixture`, a MixtureOptions."""

    @wraps(command)
    def gathered(**values: Any) -> Any:
        own = {field.name: values.pop(field.name) for field in fields(MixtureOptions)}
        return command(mixture=MixtureOptions(**own), **values)

    for option in reversed(_MIXTURE):
        gathered = option(gathered)
    return gathered


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
