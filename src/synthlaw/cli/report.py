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
@click.option("--by", help="Column (or columns, by commas) of mixtures, as for `fit`.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the page of --runs.",
)
@json_option
def report(
    folder: Path | None,
    runs: Path | None,
    laws: Path | None,
    by: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Draw the page and the figures of the study folder FOLDER, or of a table of runs.

    \b
    Examples:
      synthlaw report results
      synthlaw report --runs runs.csv --out page
      synthlaw report --runs runs.csv --laws laws.json --out page
    """
    from synthlaw.report.build import build_report

    if (folder is None) == (runs is None):
        raise UsageError("report: expected either a study folder or --runs TABLE")
    if runs is None and (laws or by or out):
        raise UsageError("report: --laws, --by and --out go with --runs")
    if folder is not None:
        page = build_report(folder)
    else:
        assert runs is not None
        if out is None:
            raise UsageError("report: --runs needs --out, the folder to write")
        page = _table_page(runs, laws, by, out)
    answer({"page": str(page.resolve())}, [str(page.resolve())], as_json)


def _table_page(runs: Path, laws: Path | None, by: str | None, out: Path) -> Path:
    from synthlaw.laws.laws_file import read_laws
    from synthlaw.laws.table import RunsTable
    from synthlaw.report.build import write_report
    from synthlaw.report.own_runs import fit_every_law, study_of_table

    table = RunsTable.read(runs)
    fits, skipped = (read_laws(laws), []) if laws is not None else fit_every_law(table, by)
    return write_report(study_of_table(table, fits, skipped=skipped, by=by), out)
