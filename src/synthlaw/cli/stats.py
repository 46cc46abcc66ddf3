"""`stats`: what tells token sets apart, and which tokens carry a model's loss."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthlaw.cli.options import out_option, pairs, seed_option
from synthlaw.cli.output import answer, json_option
from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import parse_count

if TYPE_CHECKING:  # loaded when the command runs
    from synthlaw.statistics.loss_tables import ModelLosses
    from synthlaw.statistics.unigrams import Unigrams
    from synthlaw.tokens.dataset import TokenDataset
    from synthlaw.tokens.tokenizer import Tokenizer

SAFE_NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}"
"""A name of a folder of kept counts."""

Sets = dict[str, "TokenDataset"]


@click.command()
@click.option(
    "--train", "training", multiple=True, required=True, help="NAME=FOLDER of a training token set."
)
@click.option("--test", "tests", multiple=True, help="NAME=FOLDER of a test token set.")
@click.option("--mixture", "mixtures", multiple=True, help="NAME=SET:SHARE,SET:SHARE; repeatable.")
@click.option("--baseline", help="Training set to compare others with; default: the first.")
@click.option(
    "--losses",
    multiple=True,
    help="MODEL:SET=FOLDER of kept token losses; SET is what the model was trained on.",
)
@click.option("--tokens", help="Common size of training sets; default: 90% of the smallest.")
@click.option(
    "--ngrams", type=click.IntRange(0, 5), default=5, show_default=True, help="Longest; 0: none."
)
@click.option("--workers", type=click.IntRange(min=1), default=1, help="Processes that count.")
@click.option("--tokenizer", help="Gives tokens their text: llama3 or a tokenizer's file.")
@seed_option
@out_option
@json_option
def stats(
    training: tuple[str, ...],
    tests: tuple[str, ...],
    mixtures: tuple[str, ...],
    baseline: str | None,
    losses: tuple[str, ...],
    tokens: str | None,
    ngrams: int,
    workers: int,
    tokenizer: str | None,
    seed: int,
    out: Path,
    as_json: bool,
) -> None:
    """Low-level statistics of token sets: support, Zipf, divergence, coverage, n-grams, losses.

    Token sets are what `tokenize` writes. Sets of different size are compared at one size. Tables
    (Parquet and CSV) and figures go to --out; counts are kept there, and a set that has not
    changed is not counted again.

    \b
    Examples:
      synthlaw stats --train natural=tokens/natural --train hq=tokens/hq \\
        --test news=tokens/news --mixture 33HQ=natural:0.67,hq:0.33 \\
        --tokenizer tokens/natural/tokenizer.json --out statistics
      synthlaw stats --train natural=tokens/natural --test news=tokens/news \\
        --losses first:natural=scores/domains/news/token-losses --out statistics
    """
    from synthlaw.report.chart_kinds import draw_statistics
    from synthlaw.statistics.build import Sources, facts_of, make_tables, write_tables
    from synthlaw.statistics.sets import compare

    sets = _opened(pairs(training, "--train"))
    test_sets = _opened(pairs(tests, "--test"))
    counted = _counted({**test_sets, **sets}, out, workers)
    compared = compare(
        {name: counted[name] for name in sets},
        {name: counted[name] for name in test_sets},
        mixtures=_mixtures(mixtures),
        baseline=baseline,
        tokens=None if tokens is None else round(parse_count(tokens, "--tokens")),
        seed=seed,
    )
    kept = _losses(losses, {**compared.training, **compared.equal})
    found = make_tables(
        compared,
        Sources(sets, test_sets, kept),
        tokenizer=_tokenizer(tokenizer, next(iter(sets.values()))),
        longest=ngrams,
        seed=seed,
    )
    facts = facts_of(compared, found, ngrams)
    write_tables(out / "tables", found, facts)
    figures = draw_statistics(out / "tables", out / "figures")
    answer({**facts, "figures": figures}, _lines(found, facts, out), as_json)


def _opened(folders: Mapping[str, str]) -> Sets:
    from synthlaw.tokens.dataset import TokenDataset

    for name in folders:
        if not re.fullmatch(SAFE_NAME, name):
            raise UsageError(
                f"set {name!r}: expected a name of letters, digits and . _ + -, not longer than 64"
            )
    return {name: TokenDataset(Path(folder)) for name, folder in folders.items()}


def _tokenizer(place: str | None, data: TokenDataset) -> Tokenizer | None:
    from synthlaw.tokens.tokenizer import Tokenizer

    if place is None:
        return None
    found = Tokenizer(place)
    data.require_tokenizer(found)
    return found


def _counted(sets: Sets, out: Path, workers: int) -> dict[str, Unigrams]:
    """Counts of every set, kept in --out by the identity of what was counted."""
    from synthlaw.statistics.unigrams import count_unigrams, read_unigrams, write_unigrams

    counted = {}
    for name, data in sets.items():
        folder = out / "counts" / name
        found = read_unigrams(folder, data.identity)
        if found is None:
            found = count_unigrams(name, data, workers=workers)
            write_unigrams(folder, found, data.identity)
        counted[name] = found
    return counted


def _mixtures(items: tuple[str, ...]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for name, text in pairs(items, "--mixture").items():
        shares: dict[str, float] = {}
        for part in text.split(","):
            source, sign, share = part.partition(":")
            try:
                shares[source] = float(share) if sign else float("nan")
            except ValueError:
                sign = ""
            if not sign:
                raise UsageError(f"--mixture {name}: found {part!r}; expected SET:SHARE")
        found[name] = shares
    return found


def _losses(items: tuple[str, ...], counted: Mapping[str, Unigrams]) -> list[ModelLosses]:
    from synthlaw.evaluation.token_losses import TokenLosses
    from synthlaw.statistics.loss_tables import ModelLosses

    found = []
    for item in items:
        label, sign, folder = item.partition("=")
        model, colon, trained_on = label.partition(":")
        if not (sign and colon and model and trained_on and folder):
            raise UsageError(f"--losses: found {item!r}; expected MODEL:SET=FOLDER")
        if trained_on not in counted:
            raise UsageError(
                f"--losses {model}: there is no training set or mixture {trained_on!r}; there are "
                f"{', '.join(counted)}"
            )
        found.append(ModelLosses(model, TokenLosses(Path(folder)), counted[trained_on]))
    return found


def _lines(
    found: Mapping[str, list[dict[str, Any]]], facts: Mapping[str, Any], out: Path
) -> list[str]:
    """What people want to know first: supports, and which set is closest to each test set."""
    lines = [f"at {facts['training_tokens']:,} tokens each:"]
    for row in found["support"]:
        if row["sample"] == "equal" and row["role"] != "test":
            lines.append(
                f"  {row['set']}: {row['types']:,.0f} types, unseen mass {row['unseen_mass']:.2%}"
            )
    default = [row for row in found["divergence"] if row["smoothing"] == facts["smoothing"]]
    for test in facts["tests"]:
        ranked = sorted((r for r in default if r["test"] == test), key=lambda row: row["kl"])
        listed = ", ".join(f"{row['training']} {row['kl']:.3f}" for row in ranked)
        lines.append(f"KL to {test}, nats: {listed}")
    return [*lines, f"{len(facts['tables'])} tables and their figures in {out}"]
