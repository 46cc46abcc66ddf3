"""A study in Python: loaded from its file or written in code, planned, run, and read."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import yaml

from synthlaw.common.errors import UsageError
from synthlaw.interface.advice import Advice
from synthlaw.interface.laws import Laws, read_laws
from synthlaw.interface.record import Record
from synthlaw.study.load import folder_of, parse_study, read_study_file


class Study:
    """One study: its file's text, where its paths start, and the folder that holds its results.

    Written in code, it takes the study file's keys:

        study = Study(
            natural={"path": "crawl/*.jsonl.gz"},
            mixtures={"CC": {"natural": 1.0}},
            ladder={"sizes": ["0.3M", "0.8M"], "budgets": ["1M", "2M", "4M"]},
            out="results",
        )

    out: the study folder. base: the folder that relative paths start from (default: the current
    one). Raises UsageError, naming the key, for a mistake in any of them.
    """

    def __init__(
        self,
        *,
        out: str | PathLike[str] = "study",
        base: str | PathLike[str] = ".",
        **keys: Any,
    ) -> None:
        try:
            text = yaml.safe_dump(keys, sort_keys=False, allow_unicode=True)
        except yaml.YAMLError as error:
            raise UsageError(f"study: found a value that no file can hold ({error})") from None
        self._set(text, "the study", Path(base), Path(out))

    @classmethod
    def load(cls, path: str | PathLike[str], out: str | PathLike[str] | None = None) -> Study:
        """The study in the file `path`; results go to `out` (default: a folder beside the file).

        Raises UsageError naming the file, the line and the key of every mistake.
        """
        file = Path(path)
        study = cls.__new__(cls)
        folder = Path(out) if out is not None else folder_of(file)
        study._set(read_study_file(file), str(file), file.resolve().parent, folder)
        return study

    def _set(self, text: str, name: str, base: Path, folder: Path) -> None:
        self.text, self.name, self.base, self.folder = text, name, base.resolve(), folder
        self.spec = parse_study(text, name)

    def plan(self) -> Record:
        """What the study will cost, before anything is spent; see `synthlaw plan`."""
        from synthlaw.study.planning import plan_here, planned_lines

        folder = self.folder if self.folder.exists() else None
        return Record(plan_here(self.spec, self.base, folder), planned_lines)

    def run(
        self,
        *,
        executor: str = "local",
        until: str = "report",
        verify: bool = False,
        allow_missing: int = 0,
    ) -> Study:
        """Run the study, or what is left of it, and return it. Progress goes to standard error.

        executor: local, ray or slurm. until: the last stage to do. verify: compare every kept
        file with its SHA-256. allow_missing: so many runs may fail for good; laws and page are made
        without them and say so. Raises UsageError for a mistake in the study and SynthlawError when
        work failed; call it again to go on.
        """
        from synthlaw.study.pipeline import run_study

        run_study(
            self.text,
            self.name,
            self.base,
            self.folder,
            executor=executor,
            until=until,
            verify=verify,
            allow_missing=allow_missing,
        )
        return self

    def status(self) -> Record:
        """What is done, running, failed and left; see `synthlaw status`."""
        from synthlaw.study.status import status_lines, study_status

        return Record(study_status(self.folder), status_lines)

    def runs(self) -> Any:
        """The table of the finished runs, as `read_runs` reads it."""
        from synthlaw.interface.runs import read_runs

        return read_runs(self._made("runs.csv", "training"))

    def laws(self) -> Laws:
        """The laws that were fitted to the runs."""
        return read_laws(self._made("laws.json", "laws"))

    def answer(self) -> Advice:
        """The answer to the study's question."""
        from synthlaw.common.files import read_json

        found = read_json(self._made("advice.json", "laws"))
        return Advice({"source": f"the study in {self.folder}", **found})

    @property
    def page(self) -> Path:
        """The page that shows it all. Raises UsageError when it was not drawn yet."""
        return self._made("report/index.html", "report")

    def _made(self, name: str, stage: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise UsageError(f"{self.folder}: found no {name}; expected a study run to its {stage}")
        return path

    def __repr__(self) -> str:
        return f"<study '{self.spec.name}' in {self.folder}>"
