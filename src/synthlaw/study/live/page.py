"""The live page: drawn again when a file that it shows has changed, kept otherwise."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import SynthlawError
from synthlaw.report.chart_kinds import study_charts
from synthlaw.report.page import render_page
from synthlaw.study.live.runs import curves_now, live_study
from synthlaw.study.results.page import SHOWN
from synthlaw.study.status import queue_lines, study_status


class LivePage:
    """The page and the state of the study in `folder`; reads only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._version = ""
        self._html = ""

    def version(self) -> str:
        """A digest of what the page shows: another one means another page."""
        places = [self.folder / name for name in SHOWN]
        marks = [self.folder / "artifacts" / stage for stage in ("training", "evaluation")]
        found = [(str(path), _stamp(path)) for path in [*places, *marks]]
        return digest_of({"shown": found})

    def html(self) -> str:
        """The page as it would be now. Raises SynthlawError when a file is broken."""
        with self._lock:
            version = self.version()
            if version != self._version:
                study = live_study(self.folder)
                self._html = render_page(study, study_charts(study), [])
                self._version = version
            return self._html

    def state(self) -> dict[str, Any]:
        """What `status` says, the curves of runs in training, and the page's version."""
        try:
            status: dict[str, Any] = study_status(self.folder)
        except SynthlawError as error:
            return {"error": str(error), "version": self.version(), "curves": []}
        return {
            **status,
            "queue_said": [
                line.removeprefix("queue").strip() for line in queue_lines(status["queue"])
            ],
            "version": self.version(),
            "curves": curves_now(self.folder),
        }


def _stamp(path: Path) -> tuple[int, int] | None:
    """When and how large a file is; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
