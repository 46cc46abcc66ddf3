"""The page of a study, drawn again only when what it shows has changed."""

from __future__ import annotations

from pathlib import Path

from synthlaw.common.digest import digest_of, file_digest
from synthlaw.common.files import write_text
from synthlaw.report.build import build_report
from synthlaw.study.workspace import Workspace

PAGE_VERSION = 3

SHOWN = (
    "study.yaml",
    "runs.csv",
    "laws.json",
    "advice.json",
    "generation.json",
    "samples.json",
    "mixtures.json",
    "evaluation.json",
    "plan.json",
    "timings.json",
    "machine.json",
    "statistics/statistics.json",
)


def make_page(space: Workspace) -> Path:
    """`report/index.html`; kept as it is when it shows these very files."""
    root = space.root
    page, memory = root / "report" / "index.html", root / "report" / "shows"
    files = {name: file_digest(root / name) for name in SHOWN if (root / name).exists()}
    state = digest_of({"version": PAGE_VERSION, "files": files})
    if page.exists() and memory.exists() and memory.read_text(encoding="utf-8") == state:
        space.store.keep("report/page")
        return page
    page = build_report(root)
    write_text(memory, state)
    space.store.made.append("report/page")
    return page
