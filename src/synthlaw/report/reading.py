"""Reading a study folder. A missing file is a fact for the page; a broken one is an error."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from synthlaw.common.errors import UsageError
from synthlaw.common.yaml_text import read_yaml
from synthlaw.laws.answer.portable import Case
from synthlaw.laws.lawfit import LawFit
from synthlaw.report.artifacts import (
    Advice,
    Evaluation,
    Generation,
    Laws,
    Mixture,
    Run,
    Sample,
    Study,
    Timing,
)
from synthlaw.report.comparison import FOLDER, read_comparison
from synthlaw.report.palette import mixture_kinds, mixture_styles
from synthlaw.report.text import clean_text

T = TypeVar("T")

FILES = (
    "study.yaml",
    "runs.csv",
    "laws.json",
    "advice.json",
    "generation.json",
    "samples.json",
    "mixtures.json",
    "plan.json",
    "evaluation.json",
    "timings.json",
    "machine.json",
)
DOMAIN_PREFIX = "loss/"


def read_study(folder: Path) -> Study:
    """Read the study in `folder`.

    Raises UsageError when there is no such folder, when it holds none of a study's files, or when
    one of them is not what the study writes; it names the file, the place and what was found.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: found no folder; expected a study folder")
    missing = frozenset(name for name in FILES if not (folder / name).is_file())
    if len(missing) == len(FILES):
        raise UsageError(f"{folder}: found none of a study's files; expected {', '.join(FILES)}")
    study_file = _read_text(folder / "study.yaml")
    laws = _read(folder / "laws.json", Laws)
    study = Study(
        name=_study_name(study_file) or clean_text(folder.resolve().name),
        study_file=study_file,
        runs=read_runs(folder / "runs.csv") if "runs.csv" not in missing else (),
        # Laws of the share are read by the answer; charts and tables are of mixtures.
        laws=[law for law in laws.laws if law.law != "ratio"] if laws else (),
        cases=_cases(folder / "laws.json") if laws else (),
        skipped_laws=laws.skipped if laws else (),
        advice=_read(folder / "advice.json", Advice),
        generation=_read(folder / "generation.json", Generation),
        samples=_read(folder / "samples.json", Sequence[Sample]) or (),
        mixtures=_read(folder / "mixtures.json", Sequence[Mixture]) or (),
        plan=_read(folder / "plan.json", Mapping[str, Any]) or {},
        evaluation=_read(folder / "evaluation.json", Evaluation),
        timings=_read(folder / "timings.json", Sequence[Timing]) or (),
        machine=_read(folder / "machine.json", Mapping[str, Any]) or {},
        comparison=read_comparison(folder / FOLDER),
        missing=missing,
    )
    if study.comparison is None:
        return study
    # One mixture, one colour, wherever it is drawn.
    known = mixture_styles(mixture_kinds(study))
    return replace(study, comparison=replace(study.comparison, known=known))


def _cases(path: Path) -> list[Case]:
    """The laws as the laws room calculates with them; those that it cannot read are left out."""
    found = []
    for index, law in enumerate(_read(path, Mapping[str, Any])["laws"]):
        try:
            found.append(LawFit.from_json(law, f"{path}, laws[{index}]"))
        except UsageError:
            continue
    return [Case(found)]


def read_runs(path: Path) -> list[Run]:
    """Rows of runs.csv in file order. Raises UsageError naming line and column."""
    with path.open(encoding="utf-8", errors="replace", newline="") as stream:
        reader = csv.DictReader(stream)
        needed = {"run", "mixture", "params", "tokens", "loss"}
        absent = sorted(needed - set(reader.fieldnames or ()))
        if absent:
            found = ", ".join(reader.fieldnames or ()) or "an empty file"
            raise UsageError(f"{path}: found the columns {found}; {', '.join(absent)} missing")
        return [_run(row, f"{path}:{reader.line_num}") for row in reader]


def _run(row: Mapping[str | None, Any], place: str) -> Run:
    cells = {key: clean_text(row.get(key) or "") for key in row if key is not None}
    status = cells.get("status") or "done"
    loss = _number(cells, "loss", place)
    if status == "done" and loss is None:
        raise UsageError(f"{place}, column loss: found nothing; a run that is done has a loss")
    return Run(
        run=cells["run"],
        mixture=cells["mixture"],
        params=_positive(cells, "params", place),
        tokens=_positive(cells, "tokens", place),
        loss=loss,
        status=status,
        seed=cells.get("seed", ""),
        synthetic_type=cells.get("synthetic_type", ""),
        synthetic_ratio=_number(cells, "synthetic_ratio", place),
        generator=cells.get("generator", ""),
        params_total=_number(cells, "params_total", place),
        flops=_number(cells, "flops", place),
        domains=_domain_losses(cells, place),
    )


def _domain_losses(cells: Mapping[str, str], place: str) -> dict[str, float]:
    losses = {}
    for column in cells:
        if column.startswith(DOMAIN_PREFIX):
            loss = _number(cells, column, place)
            if loss is not None:
                losses[clean_text(column.removeprefix(DOMAIN_PREFIX))] = loss
    return losses


def _number(cells: Mapping[str, str], column: str, place: str) -> float | None:
    """The cell as a finite number; None when it is empty or not finite (a diverged run)."""
    text = cells.get(column, "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"{place}, column {column}: found {text!r}; expected a number") from None
    return value if math.isfinite(value) else None


def _positive(cells: Mapping[str, str], column: str, place: str) -> float:
    value = _number(cells, column, place)
    if value is None or value <= 0:
        found = cells.get(column, "")
        raise UsageError(f"{place}, column {column}: found {found!r}; expected a positive number")
    return value


def _read_text(path: Path) -> str | None:
    if not path.is_file():
        return None
    return clean_text(path.read_text(encoding="utf-8", errors="replace"))


def _read(path: Path, kind: Any) -> Any:
    """The file checked against the type `kind`; None when there is no file."""
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: found {error}; expected one JSON document") from error
    try:
        return TypeAdapter(kind).validate_python(clean(value))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top"
        found = repr(first["input"])[:80]
        raise UsageError(f"{path}, {where}: found {found}; {first['msg']}") from error


def clean(value: Any) -> Any:
    """JSON with every string clean and every number finite; NaN and infinity become None."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {clean_text(key): clean(item) for key, item in value.items()}
    return value


def _study_name(study_file: str | None) -> str | None:
    """The study file's own name for itself, when it has one; the page shows the file as it is."""
    if study_file is None:
        return None
    try:
        content, _ = read_yaml(study_file, "study.yaml")
    except UsageError:
        return None
    name = content.get("name") if isinstance(content, dict) else None
    return name.strip() or None if isinstance(name, str) else None
