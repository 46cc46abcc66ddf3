"""A table of anyone's runs, and its laws, as what the page shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from synthlaw.common.errors import UsageError
from synthlaw.laws.answer.advice import recommend
from synthlaw.laws.answer.options import Situation
from synthlaw.laws.answer.portable import Case
from synthlaw.laws.api import fit_laws, named_runs
from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.laws_file import REPLICATES_KEPT
from synthlaw.laws.table import Runs, RunsTable
from synthlaw.report.artifacts import Advice, Law, Run, Skipped, Study
from synthlaw.report.numerals import counted
from synthlaw.report.reading import DOMAIN_PREFIX, clean
from synthlaw.report.text import clean_text


def fit_every_law(
    table: RunsTable, by: str | None = None
) -> tuple[list[LawFit], list[dict[str, Any]]]:
    """Data, model and joint laws of a table, and those that its runs cannot carry.

    Raises UsageError when they carry none.
    """
    laws: list[LawFit] = []
    skipped: list[dict[str, Any]] = []
    for law in ("data", "model", "joint"):
        try:
            found = fit_laws(table, law, by=by)
        except UsageError as error:
            skipped.append({"law": law, "mixture": None, "reason": str(error)})
            continue
        laws += found.laws
        skipped += found.skipped
    if not laws:
        raise UsageError("; ".join(dict.fromkeys(str(row["reason"]) for row in skipped)))
    return laws, skipped


def study_of_table(
    table: RunsTable,
    laws: Sequence[LawFit],
    *,
    skipped: Sequence[Mapping[str, Any]] = (),
    by: str | None = None,
    where: str | None = None,
    at: Mapping[str, float] | None = None,
) -> Study:
    """What the page shows of `table` and the laws fitted to it with the same `by`, `where`, `at`.

    The answer is the laws' own at the size and budget of the run of most compute. Runs that tell no
    size or no budget have no place in a chart; the page says how many. Raises UsageError as
    `fit_laws`.
    """
    found, names = named_runs(table, by=by, where=where, at=at)
    runs = _runs(found, names)
    cautions = list(table.remarks(found))
    if absent := len(found) - len(runs):
        cautions.append(f"{absent} of {len(found)} runs tell no size or no budget: not drawn")
    kept = [clean(law.to_json(replicates=REPLICATES_KEPT)) for law in laws]
    # The answer is the one that `recommend` gives from the file that `fit --out` writes.
    fits = [LawFit.from_json(law, table.origin) for law in kept]
    return Study(
        name=clean_text(Path(table.origin).name),
        runs=runs,
        laws=[Law.model_validate(law) for law in kept if law["law"] != "ratio"],
        cases=[Case(fits)],
        skipped_laws=[Skipped.model_validate(clean(dict(row))) for row in skipped],
        advice=_advice(fits, runs, cautions),
        of_table=True,
    )


def _runs(found: Runs, names: Sequence[str]) -> list[Run]:
    """The runs that have a place in the charts; lines of the file name those without a name."""
    column = next((name for name in ("run", "run_id", "name", "id") if name in found.texts), None)
    runs = []
    for index, mixture in enumerate(names):
        params, tokens = (_at(found, name, index) for name in ("params", "tokens"))
        if params is None or tokens is None:
            continue
        texts = {name: clean_text(str(values[index])) for name, values in found.texts.items()}
        runs.append(
            Run(
                run=(texts[column] if column else "") or f"line {found.lines[index]}",
                mixture=clean_text(mixture),
                params=params,
                tokens=tokens,
                loss=float(found.loss[index]),
                seed=texts.get("seed", ""),
                synthetic_type=texts.get("synthetic_type", ""),
                synthetic_ratio=_at(found, "ratio", index),
                domains=_domains(texts),
            )
        )
    return runs


def _at(found: Runs, name: str, index: int) -> float | None:
    values = found.numbers.get(name)
    return None if values is None or not np.isfinite(values[index]) else float(values[index])


def _domains(texts: Mapping[str, str]) -> dict[str, float]:
    """Losses of the columns loss/DOMAIN; cells that hold no number are left out."""
    losses = {}
    for name, text in texts.items():
        if name.startswith(DOMAIN_PREFIX):
            try:
                value = float(text)
            except ValueError:
                continue
            if math.isfinite(value):
                losses[clean_text(name.removeprefix(DOMAIN_PREFIX))] = value
    return losses


def _advice(laws: Sequence[LawFit], runs: Sequence[Run], cautions: Sequence[str]) -> Advice:
    """The answer at the run of most compute; laws that give none are named instead."""
    joint = [law for law in laws if law.law == "joint"]
    try:
        if not runs:
            raise UsageError("no run tells both its size and its budget")
        largest = max(runs, key=lambda run: run.params * run.tokens)
        result = recommend(joint or list(laws), Situation(largest.params, largest.tokens))
    except UsageError as error:
        kinds = ", ".join(dict.fromkeys(law.law for law in laws))
        mixtures = len({law.mixture for law in laws})
        headline = (
            f"{counted(len(laws), 'law')} ({kinds}) of {counted(mixtures, 'mixture')}, which "
            f"advise nothing: {error}"
        )
        result = {"advice": headline}
    return Advice.model_validate(clean({**result, "limits": list(cautions)}))
