"""Building the report of a study folder: figures, tables, and the page that links them."""

from __future__ import annotations

import base64
from pathlib import Path

from synthlaw.common.files import atomic_folder, write_text
from synthlaw.report.artifacts import Study
from synthlaw.report.reading import read_study

FOLDER = "report"
PAGE = "index.html"
CURVES = "tables/curves.csv"
"""The one table that the page does not hold: its charts do, and digits do not compress."""


def build_report(folder: Path) -> Path:
    """Write `folder`/report from the study's files and give the page's path.

    Reads only what lies in `folder`; what is missing there is named on the page. The report
    replaces an older one as a whole, so that page, figures and tables always belong together.

    Raises UsageError when `folder` holds no study or one of its files is broken.
    """
    write_report(read_study(folder), folder / FOLDER)
    return folder / FOLDER / PAGE


def write_report(study: Study, folder: Path) -> Path:
    """Write page, figures and tables of `study` as `folder`; gives the page's path.

    Raises UsageError when `folder` holds what is not a report.
    """
    # Drawing is loaded here, so that importing this module costs nothing.
    from synthlaw.report.chart_kinds import picture, study_charts, write_charts
    from synthlaw.report.page import STILLS, render_page
    from synthlaw.report.tables import study_tables

    with atomic_folder(folder, "report") as aside:
        charts = study_charts(study)
        beside = [f"figures/{name}" for name in write_charts(charts, aside / "figures")]
        tables = {f"tables/{name}": text for name, text in study_tables(study).items()}
        for name, text in tables.items():
            write_text(aside / name, text)
        beside += [name for name in tables if name == CURVES]
        held = {name: text for name, text in tables.items() if name != CURVES}
        pictures = {name: _address(picture(charts[name])) for name in STILLS if name in charts}
        write_text(aside / PAGE, render_page(study, charts, beside, pictures, held))
    return folder / PAGE


def _address(svg: str) -> str:
    """A picture within the page, where it can neither run nor fetch anything."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")
