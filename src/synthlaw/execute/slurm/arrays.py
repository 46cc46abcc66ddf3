"""One job array on the shared filesystem: what its jobs do, and what came of it.

    arrays/<name>/array.json               where its driver found modules
                  jobs/<element>.jsonl       what an element does, one job a line
                  outcomes/<element>-<n>.json   what came of its n-th job, see `base.do_job`
                  logs/<element>.log         what it printed
                  number                     Slurm's number, once it is submitted
                  tries.json                 how often its jobs were lost before
                  cancelled                  it was given up by its driver

The array is named in Slurm as its folder is, so a driver that is started again finds what is
queued or running and waits for it, even if the one before died while it submitted.
"""

from __future__ import annotations

import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from synthlaw.common.files import read_json, write_json, write_text
from synthlaw.execute.base import Json

ARRAYS = "arrays"
"""Where in the executor's folder they are."""

LOG_TAIL = 4096


@dataclass(frozen=True)
class JobArray:
    """A job array by its folder."""

    folder: Path

    @classmethod
    def create(cls, home: Path, elements: Sequence[Sequence[str]]) -> JobArray:
        """A new array in `home`; elements: the lines (`base.as_json`) that each job does."""
        made = cls(home / f"synthlaw-{uuid.uuid4().hex[:12]}")
        for name in ("jobs", "outcomes", "logs"):
            (made.folder / name).mkdir(parents=True)
        for number, lines in enumerate(elements):
            made._lines(number).write_text("".join(f"{line}\n" for line in lines), "utf-8")
        path = [entry for entry in sys.path if entry]
        write_json(made.folder / "array.json", {"path": path})
        return made

    @classmethod
    def all_in(cls, home: Path) -> list[JobArray]:
        """Arrays in `home`; what a killed driver had not made whole is removed."""
        found = [cls(path) for path in sorted(home.glob("synthlaw-*"))]
        for array in found:
            if not (array.folder / "array.json").exists():
                array.remove()
        return [array for array in found if array.folder.exists()]

    @property
    def name(self) -> str:
        """Its name in Slurm."""
        return self.folder.name

    def names(self) -> list[str]:
        """Flags of sbatch's that name it and its logs."""
        log = str(self.folder / "logs").replace("%", "%%") + "/%a.log"
        return [
            f"--job-name={self.name}",
            f"--output={log}",
            f"--error={log}",
            "--open-mode=append",
        ]

    @property
    def number(self) -> str:
        """Slurm's number; '' when it is not known."""
        try:
            return (self.folder / "number").read_text("ascii").strip()
        except FileNotFoundError:  # not yet, or no more: its driver is at work
            return ""

    def note_number(self, number: str) -> None:
        """Keep Slurm's number."""
        write_text(self.folder / "number", number + "\n")

    def note_tries(self, tries: Mapping[tuple[int, int], tuple[int, int]]) -> None:
        """Keep how often jobs were lost before, by (element, place): deaths and interruptions."""
        rows = [[*where, *counts] for where, counts in tries.items() if any(counts)]
        if rows:
            write_json(self.folder / "tries.json", rows)

    @cached_property
    def tries(self) -> dict[tuple[int, int], tuple[int, int]]:
        """What `note_tries` kept."""
        path = self.folder / "tries.json"
        rows = read_json(path) if path.exists() else []
        return {(element, place): (deaths, times) for element, place, deaths, times in rows}

    def note_cancelled(self) -> None:
        """Let no later driver wait for it."""
        write_text(self.folder / "cancelled", "")

    @property
    def cancelled(self) -> bool:
        """Whether its driver gave it up."""
        return (self.folder / "cancelled").exists()

    def path(self) -> list[str]:
        """Where its driver found modules."""
        return list(read_json(self.folder / "array.json")["path"])

    def lines(self, element: int) -> list[str]:
        """What an element does."""
        return self._lines(element).read_text("utf-8").splitlines()

    def _lines(self, element: int) -> Path:
        return self.folder / "jobs" / f"{element}.jsonl"

    def outcome_path(self, element: int, place: int) -> Path:
        """Where the outcome of the element's job number `place` is kept."""
        return self.folder / "outcomes" / f"{element}-{place}.json"

    def outcome(self, element: int, place: int) -> dict[str, Json] | None:
        """What came of a job; None when nothing did so far."""
        try:
            return dict(read_json(self.outcome_path(element, place)))
        except FileNotFoundError:
            return None

    def outcomes(self) -> Iterator[tuple[int, int]]:
        """(element, place) of every job that has an outcome."""
        for path in (self.folder / "outcomes").glob("[0-9]*.json"):
            element, _, place = path.stem.partition("-")
            yield int(element), int(place)

    def began(self, element: int) -> bool:
        """Whether an element ever ran."""
        return (self.folder / "logs" / f"{element}.log").exists()

    def last_line(self, element: int) -> str:
        """The last line that an element printed; '' when it printed none or never began."""
        try:
            with (self.folder / "logs" / f"{element}.log").open("rb") as stream:
                stream.seek(0, 2)
                stream.seek(max(0, stream.tell() - LOG_TAIL))
                lines = stream.read().decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return ""
        said = [line.strip() for line in lines if line.strip()]
        ours = [line for line in said if not line.startswith("slurmstepd:")]
        return (ours or said or [""])[-1]

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
