"""`synthlaw fit` and `synthlaw recommend`: laws from a table of runs, and what they advise."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import parse_count

if TYPE_CHECKING:
    from synthlaw.laws.api import LawSet
    from synthlaw.laws.table import RunsTable


def _own_laws(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
    """Refuse to write laws over a file that holds none, before anything is fitted."""
    from synthlaw.laws.laws_file import require_place

    if path is not None:
        try:
            require_place(path)
        except UsageError as error:
            raise UsageError(f"--out: {error}") from None
    return path


@click.command()
@click.argument("runs", type=click.Path(path_type=Path))
@click.option(
    "--law",
    type=click.Choice(["data", "model", "joint", "ratio", "repetition"]),
    required=True,
    help="L(D), L(N), L(N, D), the same with the synthetic share, or with repeated data.",
)
@click.option("--by", help="Column (or columns, by commas) of mixtures, or of synthetic types.")
@click.option("--at", multiple=True, metavar="NAME=VALUE", help="Keep runs at this size only.")
@click.option("--where", metavar="EXPR", help="Keep these runs only, e.g. \"dataset=='c4'\".")
@click.option("--holdout", metavar="EXPR", help="Runs to predict, not fit, e.g. tokens>100e9.")
@click.option("--rolling", is_flag=True, help="Fit below each budget in turn, score beyond it.")
@click.option("--bootstrap", default=1000, show_default=True, help="Resamples; 0: no intervals.")
@click.option("--seed", default=0, show_default=True, help="Seed of resampling.")
@click.option("--level", default=0.90, show_default=True, help="Coverage of intervals.")
@click.option("--profile", is_flag=True, help="Add profile intervals of every coefficient.")
@click.option(
    "--objective",
    type=click.Choice(["log-huber", "huber", "mse", "lad"]),
    default="log-huber",
    show_default=True,
)
@click.option("--delta", default=1e-3, show_default=True, help="Half-width of Huber's parabola.")
@click.option("--over-weight", default=1.0, show_default=True, help="Factor on over-prediction.")
@click.option("--weighting", type=click.Choice(["seeds", "none"]), default="seeds")
@click.option("--fixed", multiple=True, metavar="NAME=VALUE", help="Coefficient not to fit.")
@click.option(
    "--form", "form_name", help="A form's name (tied, coupled; rolling: the best) or expression."
)
@click.option("--unit", default="1e9", show_default=True, help="Parameters and tokens per unit.")
@click.option("--params-column", help="Column of model sizes.  [default: params]")
@click.option("--tokens-column", help="Column of training tokens.  [default: tokens]")
@click.option("--loss-column", help="Column of losses, e.g. loss/wikitext.  [default: loss]")
@click.option("--ratio-column", help="Column of shares.  [default: synthetic_ratio]")
@click.option("--unique-tokens-column", help="Column of unique tokens.  [default: unique_tokens]")
@click.option("--compare", metavar="MIXTURE", help="Compare every mixture with this baseline.")
@click.option("--predict", metavar="NAME=VALUE,...", help="Loss there: params=7B,tokens=2T.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.option(
    "--format",
    "table_format",
    type=click.Choice(["text", "markdown", "latex", "csv"]),
    default="text",
    show_default=True,
    help="Tables of the coefficients, rounded by their intervals, for a paper or a sheet.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_own_laws,
    help="Write laws.json for `recommend`; replaces no other file.",
)
@click.option(
    "--report",
    "report_folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write a page with figures and tables there.",
)
def fit(
    runs: Path,
    as_json: bool,
    table_format: str,
    out: Path | None,
    report_folder: Path | None,
    **options: Any,
) -> None:
    """Fit scaling laws to RUNS, a table (CSV, TSV, JSON, JSONL, Parquet) with a row per run.

    \b
    Examples:
      synthlaw fit runs.csv --law data --by mixture --holdout 'tokens>100e9'
      synthlaw fit runs.csv --law joint --params-column N --tokens-column D --json
      synthlaw fit runs.csv --law joint --by mixture --out laws.json --report report
      synthlaw fit runs.csv --law data --by mixture --format latex
    """
    from synthlaw.laws.answer.summary import comparison_summary, predict_all
    from synthlaw.laws.api import fit_laws
    from synthlaw.laws.laws_file import write_laws
    from synthlaw.laws.plain import without_infinities
    from synthlaw.laws.table import RunsTable
    from synthlaw.report.laws_text import fit_text

    names = ("params", "tokens", "loss", "ratio", "unique_tokens")
    columns = {name: options.pop(f"{name}_column") for name in names}
    table = RunsTable.read(runs, columns)
    unit = parse_count(options.pop("unit"), "--unit")
    form_name, compare = options.pop("form_name"), options.pop("compare")
    predict = options.pop("predict")
    chosen = {
        "by": options.pop("by"),
        "where": options.pop("where"),
        "at": _pairs(options.pop("at"), "--at"),
    }
    laws = fit_laws(
        table,
        options.pop("law"),
        **chosen,
        fixed=_pairs(options.pop("fixed"), "--fixed"),
        form=form_name,
        over=options.pop("over_weight"),
        unit=unit,
        **options,
    )
    result = laws.to_json()
    if compare:
        result["comparison"] = comparison_summary(laws.laws, compare)
    if predict:
        inputs = _pairs(tuple(re.split(r",(?=\s*[A-Za-z_])", predict)), "--predict")
        result["predictions"] = without_infinities(predict_all(laws.laws, inputs))
    if out is not None:
        write_laws(out, laws)
    if report_folder is not None:
        _write_page(report_folder, table, laws, chosen)
    if as_json:
        click.echo(json.dumps(result, allow_nan=False))
    elif table_format == "text":
        click.echo(fit_text(result))
    else:
        _print_tables(result, table_format)


def _print_tables(result: dict[str, Any], table_format: str) -> None:
    """Tables go to standard output; what is no table of laws, to standard error."""
    from synthlaw.report.laws_tables import FORMATS
    from synthlaw.report.laws_text import beside_laws

    click.echo(FORMATS[table_format](result))
    if rest := beside_laws(result):
        click.echo("\n\n".join(rest), err=True)


def _write_page(folder: Path, table: RunsTable, laws: LawSet, chosen: dict[str, Any]) -> None:
    """The page of a table and its laws; its path goes to standard error, which is for people."""
    from synthlaw.report.build import write_report
    from synthlaw.report.own_runs import study_of_table

    page = write_report(study_of_table(table, laws, skipped=laws.skipped, **chosen), folder)
    click.echo(f"page: {page.resolve()}", err=True)


@click.command()
@click.option("--laws", type=click.Path(path_type=Path), help="Laws written by fit --out.")
@click.option("--reference", is_flag=True, help="Answer from the laws the paper published.")
@click.option("--params", required=True, help="Model size, e.g. 7B.")
@click.option("--tokens", required=True, help="Training tokens, e.g. 200B.")
@click.option("--natural-tokens", help="Unique natural tokens at hand; more are repeated.")
@click.option("--generator-cost", type=float, help="Money per million generated tokens.")
@click.option("--training-cost", type=float, help="Money per training FLOP, e.g. 2e-18.")
@click.option("--gpu-flops", help="Sustained FLOP/s of a training GPU, e.g. 4e14.")
@click.option("--generator-speed", help="Generated tokens per second of a GPU.")
@click.option("--baseline", help="The natural mixture, where shares do not tell.")
@click.option("--decay", type=float, help="R_D* of repeated natural tokens.  [default: 15.39]")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def recommend(laws: Path | None, reference: bool, as_json: bool, **options: Any) -> None:
    """Advise on a run: the best synthetic type and share, what it gains and what it costs.

    \b
    Examples:
      synthlaw recommend --reference --params 1B --tokens 200B
      synthlaw recommend --laws laws.json --params 7B --tokens 2T --natural-tokens 1T --json
    """
    from synthlaw.laws.answer.advice import recommend as advise
    from synthlaw.laws.answer.costs import Costs
    from synthlaw.laws.answer.options import Situation
    from synthlaw.laws.forms.repetition import PUBLISHED_DECAY
    from synthlaw.laws.laws_file import read_laws
    from synthlaw.report.laws_text import advice_text

    if reference == (laws is not None):
        raise UsageError("recommend: expected either --laws FILE or --reference")

    def number(name: str) -> float | None:
        value = options[name]
        return None if value is None else parse_count(value, f"--{name.replace('_', '-')}")

    situation = Situation(
        parse_count(options["params"], "--params"),
        parse_count(options["tokens"], "--tokens"),
        number("natural_tokens"),
        Costs(
            options["generator_cost"],
            options["training_cost"],
            number("gpu_flops"),
            number("generator_speed"),
        ),
        options["baseline"],
        number("decay") or PUBLISHED_DECAY,
    )
    if laws is None:
        from synthlaw.laws.answer.reference import citation, laws_at

        result = {"source": citation(), **advise(laws_at(situation.params), situation)}
    else:
        result = {"source": str(laws), **advise(read_laws(laws), situation)}
    click.echo(json.dumps(result, allow_nan=False) if as_json else advice_text(result))


def _pairs(texts: tuple[str, ...], option: str) -> dict[str, float]:
    """NAME=VALUE options as a dictionary of numbers."""
    found = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if name in found:
            raise UsageError(f"{option}: found {name} twice; expected one value")
        if not equals or not name:
            raise UsageError(f"{option}: found {text!r}; expected NAME=VALUE such as params=1B")
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = parse_count(value, option)
    return found
