"""`synthlaw design`: the runs to train next."""

from __future__ import annotations

from pathlib import Path

import click

from synthlaw.cli.output import answer, json_option
from synthlaw.common.errors import UsageError


def _list(_: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


@click.command()
@click.argument("runs", type=click.Path(path_type=Path), required=False)
@click.option("--params", required=True, help="Model size that is asked about, e.g. 7B.")
@click.option("--tokens", required=True, help="Its training tokens, e.g. 200B.")
@click.option("--types", callback=_list, help="Synthetic types.  [default: those of RUNS]")
@click.option("--sizes", callback=_list, help="Sizes to run, by commas.  [default: RUNS']")
@click.option("--budgets", callback=_list, help="Budgets to run, by commas.  [default: RUNS']")
@click.option("--shares", callback=_list, help="Shares to run.  [default: steps of 0.05]")
@click.option("--count", default=8, show_default=True, type=click.IntRange(min=1), help="Runs.")
@click.option("--most-flops", help="FLOPs that they may take together, e.g. 1e20.")
@click.option("--within", default=0.05, show_default=True, help="Of the share, for an answer.")
@click.option("--level", default=0.90, show_default=True, help="Of certainty, for an answer.")
@click.option("--noise", type=float, help="Of ln loss between seeds.  [default: RUNS' repeats]")
@click.option("--seed", default=0, show_default=True, help="Of the draws.")
@json_option
def design(runs: Path | None, shares: tuple[str, ...], as_json: bool, **options: object) -> None:
    """The runs that tell most per FLOP which type and share are best at a size.

    RUNS is a table of the runs trained so far, with columns synthetic_type and synthetic_ratio;
    train what is named, add it to the table, ask again. Without RUNS, where to begin.

    \b
    Examples:
      synthlaw design --params 7B --tokens 200B --types hq,qa --sizes 100M,400M --budgets 1B,5B
      synthlaw design runs.csv --params 7B --tokens 200B --count 16 --most-flops 1e21
    """
    from synthlaw.interface.design import design as design_runs
    from synthlaw.interface.design import design_lines

    try:
        asked = [float(share) for share in shares]
    except ValueError:
        raise UsageError(f"--shares: found {','.join(shares)!r}; expected numbers") from None
    told = design_runs(runs, shares=asked, **options)  # type: ignore[arg-type]
    answer(dict(told), design_lines(told), as_json)
