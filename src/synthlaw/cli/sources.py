"""`synthlaw sources`: laws over the shares of several sources, and the best mixture of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import parse_count


@click.command()
@click.argument("runs", type=click.Path(path_type=Path))
@click.option("--weights", required=True, help="Weight columns: a pattern, or names by commas.")
@click.option(
    "--loss-column", "losses", multiple=True, help="Losses: names or patterns; their mean."
)
@click.option("--join", type=click.Path(path_type=Path), help="Second file of the same runs.")
@click.option("--params-column", help="Column of model sizes.  [default: usual names]")
@click.option("--tokens-column", help="Column of training tokens.  [default: usual names]")
@click.option(
    "--form",
    type=click.Choice(["exponential", "additive", "transfer", "interplay"]),
    help="Form of the law.  [default: the smallest held-out error]",
)
@click.option("--params", help="Model size of the run asked about, e.g. 7B.")
@click.option("--tokens", help="Its training tokens, e.g. 200B.")
@click.option("--least", multiple=True, metavar="SOURCE=SHARE", help="Lowest share.")
@click.option("--most", multiple=True, metavar="SOURCE=SHARE", help="Highest share.")
@click.option("--supply", multiple=True, metavar="SOURCE=TOKENS", help="Tokens at hand.")
@click.option("--price", multiple=True, metavar="SOURCE=MONEY", help="Per million tokens.")
@click.option("--highest-price", type=float, help="Highest mean price per million tokens.")
@click.option("--bootstrap", default=200, show_default=True, help="Refits; 0: no intervals.")
@click.option("--seed", default=0, show_default=True, help="Seed of folds and resampling.")
@click.option("--level", default=0.90, show_default=True, help="Coverage of intervals.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def sources(runs: Path, as_json: bool, **options: Any) -> None:
    """Fit laws over the shares of several sources in RUNS and find the best mixture.

    \b
    Examples:
      synthlaw sources runs.csv --weights 'w_*' --loss-column loss/web
      synthlaw sources mixtures.csv --join losses.csv --weights 'train_*' \\
          --loss-column '*pile_cc*' --most wikipedia_en=0.05
    """
    from synthlaw.interface.sources import fit_sources

    laws = fit_sources(
        runs,
        options["weights"],
        options["losses"] or "loss",
        join=options["join"],
        params=options["params_column"],
        tokens=options["tokens_column"],
        form=options["form"],
        bootstrap=options["bootstrap"],
        seed=options["seed"],
    )
    best = laws.best(
        options["params"],
        options["tokens"],
        least=_named(options["least"], "--least"),
        most=_named(options["most"], "--most"),
        supply=_named(options["supply"], "--supply"),
        price=_named(options["price"], "--price"),
        highest_price=options["highest_price"],
        level=options["level"],
    )
    result = {**laws.to_json(), "best": best}
    click.echo(json.dumps(result, allow_nan=False) if as_json else _text(result))


def _named(texts: tuple[str, ...], option: str) -> dict[str, float]:
    found = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name or name in found:
            raise UsageError(f"{option}: found {text!r}; expected SOURCE=NUMBER, once per source")
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = parse_count(value, option)
        if not 0 <= found[name] < float("inf"):
            raise UsageError(f"{option}: found {text!r}; expected a number of 0 or more")
    return found


def _text(result: dict[str, Any]) -> str:
    lines = []
    for law in result["laws"]:
        lines.append(
            f"{law['loss']}: {law['form']} law, {law['points']} runs, noise {law['noise']:.2%}"
        )
        errors = sorted(law["held_out_error"].items(), key=lambda pair: pair[1])
        if errors:
            said = ", ".join(f"{name} {error:.2%}" for name, error in errors)
            lines.append(f"  error on runs left out: {said}")
        lines += [f"  ! {w['code']}: {w['message']}" for w in law["warnings"]]
    best = result["best"]
    ends = best["interval"]
    span = f" [{ends[0]:.3f}, {ends[1]:.3f}]" if ends else ""
    lines += ["", f"Best mixture: expected loss {best['loss']:.3f}{span}", ""]
    width = max(len(name) for name in best["shares"])
    shares = sorted(best["shares"].items(), key=lambda pair: -pair[1]["share"])
    for name, share in shares:
        line = f"  {name:{width}s} {share['share']:6.1%}"
        if ends:
            (low, high), (first, last) = share["interval"], share["as_good"]
            line += f"  [{low:.1%}, {high:.1%}]  as good {first:.1%} to {last:.1%}"
        lines.append(line)
    if result["left_out"]:
        first = result["left_out"][0]
        lines += ["", f"{len(result['left_out'])} rows left out, first line {first['row']}: "
                  f"{first['reason']}"]  # fmt: skip
    return "\n".join(lines)
