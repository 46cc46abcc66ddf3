"""The command `compare`: results of `evaluate` side by side, paired by document."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from synthlaw.cli.options import own_folder
from synthlaw.cli.output import answer, json_option
from synthlaw.common.errors import UsageError
from synthlaw.common.files import read_json, write_json

if TYPE_CHECKING:
    from synthlaw.evaluation.scores import DomainScores


@click.command()
@click.argument("results", nargs=-1, required=True, metavar="[NAME=]FOLDER...")
@click.option(
    "--metric",
    type=click.Choice(["loss", "document_loss", "bits_per_byte"]),
    default="loss",
    show_default=True,
    help="bits_per_byte also compares models of different tokenizers.",
)
@click.option("--seed", default=0, show_default=True, help="Of the resampling.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    callback=own_folder,
    help="Write comparison.csv, .parquet, .json and .svg there.",
)
@json_option
def compare(
    results: tuple[str, ...],
    metric: Literal["loss", "document_loss", "bits_per_byte"],
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Differences of models on the same documents, each against the first, with p-values.

    A FOLDER is what `evaluate --out` filled, or an evaluation artifact of a study. What the models
    find hard alike cancels, so a difference is known far better than either loss. The p-values
    speak of other documents, not of another training seed.

    \b
    Example:
      synthlaw compare natural=scores/natural mixed=scores/33hq --metric bits_per_byte
    """
    from synthlaw.evaluation.comparison import compare as compare_models
    from synthlaw.evaluation.figures import draw, write_table

    folders = _named(results)
    models = {name: _scores(folder) for name, folder in folders.items()}
    warnings = _differing(folders)
    rows = compare_models(models, metric, seed=seed)
    base = next(iter(models))
    value = {"baseline": base, "metric": metric, "warnings": warnings, "differences": rows}
    if out is not None:
        write_table(out / "comparison", rows)
        write_json(out / "comparison.json", value)
        drawn = [
            row | {"value": row["difference"], "domain": f"{row['model']}: {row['domain']}"}
            for row in rows
        ]
        draw(out / "comparison.svg", drawn, f"{metric}, difference from {base}", zero=True)
    answer(value, [*_lines(base, metric, rows), *warnings], as_json)


def _named(results: tuple[str, ...]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for item in results:
        name, sign, place = item.partition("=")
        folder = Path(place if sign else item)
        name = name if sign else folder.resolve().name
        if name in named:
            raise UsageError(f"{item}: the name {name!r} is given twice; write NAME=FOLDER")
        named[name] = folder
    return named


def _scores(folder: Path) -> dict[str, DomainScores]:
    from synthlaw.evaluation.scores import read_scores

    return read_scores(folder / "scores.parquet")


def _differing(folders: dict[str, Path]) -> list[str]:
    """Settings of the protocol that are not the same everywhere; studies keep theirs elsewhere."""
    found: dict[str, dict[str, Any]] = {}
    for name, folder in folders.items():
        try:
            found[name] = read_json(folder / "scores.json")["protocol"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
    base = next(iter(found.values()), {})
    return [
        f"warning: {name} was scored with {key} {value}, {next(iter(found))} with {base.get(key)}"
        for name, protocol in found.items()
        for key, value in protocol.items()
        if value != base.get(key)
    ]


def _lines(base: str, metric: str, rows: list[dict[str, Any]]) -> list[str]:
    width = max(len(f"{row['model']}: {row['domain']}") for row in rows)
    lines = [
        f"{'':{width}}  {base[:9]:>9}  {'model':>9}  {'difference':>10}  {'90% interval':>19}  "
        f"{'p':>7}  {'p (Holm)':>8}"
    ]
    for row in rows:
        spread = "none" if row["low"] is None else f"{row['low']:+.4f} {row['high']:+.4f}"
        p_value, corrected = (_p(row[key]) for key in ("p_value", "p_holm"))
        lines.append(
            f"{row['model'] + ': ' + row['domain']:{width}}  {row['baseline']:9.4f}  "
            f"{row['value']:9.4f}  {row['difference']:+10.4f}  {spread:>19}  {p_value:>7}  "
            f"{corrected:>8}"
        )
    unit = {"bits_per_byte": "bits per byte"}.get(metric, "nats per token")
    lines.append(f"{metric}, {unit}; a difference below zero is better than {base}")
    return lines


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
