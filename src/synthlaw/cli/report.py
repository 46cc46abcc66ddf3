"""The command `report`."""

from __future__ import annotations

from pathlib import Path

import click

from synthlaw.cli.output import answer, json_option


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@json_option
def report(folder: Path, as_json: bool) -> None:
    """Draw the page and the figures of the study folder FOLDER.

    \b
    Example:
      synthlaw report results
    """
    from synthlaw.report.build import build_report

    page = build_report(folder).resolve()
    answer({"page": str(page)}, [str(page)], as_json)
