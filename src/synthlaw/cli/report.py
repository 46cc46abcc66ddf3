"""The command `report`."""

from __future__ import annotations

from pathlib import Path

import click

from synthlaw.cli.output import answer, json_option
from synthlaw.common.errors import UsageError


@click.command()
@click.argument(
    "folder", type=click.Path(path_type=Path, file_okay=False, exists=True), required=False
)
@click.option(
    "--runs",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Instead of a study: a table of anyone's runs, as `fit` reads it.",
)
@click.option(
    "--laws",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Laws of these runs, from `fit --out`.  [default: fitted now]",
)
@click.option("--reference", is_flag=True, help="Instead of a study: the laws of the paper.")
@click.option("--by", help="Column (or columns, by commas) of mixtures, as for `fit`.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the page of --runs or --reference.",
)
@json_option
def report(
    folder: Path | None,
    runs: Path | None,
    laws: Path | None,
    reference: bool,
    by: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Draw the page and the figures of the study folder FOLDER, a table of runs, or the paper.

    \b
    Examples:
      synthlaw report results
      synthlaw report --runs runs.csv --out page
      synthlaw report --runs runs.csv --laws laws.json --out page
      synthlaw report --reference --out paper
    """
    from synthlaw.report.build import build_report

    if sum((folder is not None, runs is not None, reference)) != 1:
        raise UsageError("report: expected one of a study folder, --runs TABLE and --reference")
    if runs is None and (laws or by):
        raise UsageError("report: --laws and --by go with --runs")
    if folder is not None:
        if out is not None:
            raise UsageError("report: --out goes with --runs and --reference")
        page = build_report(folder)
    elif out is None:
        raise UsageError("report: --runs and --reference need --out, the folder to write")
    elif runs is not None:
        page = _table_page(runs, laws, by, out)
    else:
        page = _paper_page(out)
    answer({"page": str(page.resolve())}, [str(page.resolve())], as_json)


def _table_page(runs: Path, laws: Path | None, by: str | None, out: Path) -> Path:
    from synthlaw.laws.laws_file import read_laws
    from synthlaw.laws.table import RunsTable
    from synthlaw.report.build import write_report
    from synthlaw.report.own_runs import fit_every_law, study_of_table

    table = RunsTable.read(runs)
    fits, skipped = (read_laws(laws), []) if laws is not None else fit_every_law(table, by)
    return write_report(study_of_table(table, fits, skipped=skipped, by=by), out)


def _paper_page(out: Path) -> Path:
    from synthlaw.report.build import write_report
    from synthlaw.report.paper_laws import study_of_paper

    return write_report(study_of_paper(), out)
