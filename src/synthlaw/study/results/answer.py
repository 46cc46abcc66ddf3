"""The laws and the answer of a study: laws.json and advice.json, from runs.csv alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import UsageError
from synthlaw.common.files import read_json, write_json
from synthlaw.laws.answer.advice import recommend
from synthlaw.laws.answer.options import Situation
from synthlaw.laws.answer.shares import FEWEST_SHARES
from synthlaw.laws.api import fit_laws
from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.table import RunsTable
from synthlaw.study.grid import runs_of
from synthlaw.study.results.caveats import limits_of
from synthlaw.study.spec import Study
from synthlaw.study.workspace import Workspace
from synthlaw.training.presets import LLAMA3_VOCAB

LAWS_VERSION = 5
REPLICATES_KEPT = 200
"""Refits written beside each law: the page draws its bands from them."""


def make_answer(space: Workspace) -> None:
    """Fit every law and answer the study's question; both files are put beside runs.csv."""
    study, store = space.study, space.store
    inputs = {
        "runs": file_digest(space.root / "runs.csv"),
        "laws": study.laws.model_dump(),
        "question": study.question.model_dump(),
        "baseline": study.baseline_name(),
        "seed": study.seed,
        "limits": limits_of(study, space.missing),
    }
    key = store.key("laws", LAWS_VERSION, inputs)
    found = store.find("laws", "laws", key)
    if found is None:
        table = RunsTable.read(space.root / "runs.csv")
        table.origin = "runs.csv"  # The folder's own place does not belong in its files.
        fits, skipped = _fit_all(space, table)
        with store.making("laws", "laws", key) as aside:
            write_json(
                aside / "laws.json",
                {
                    "laws": [law.to_json(replicates=REPLICATES_KEPT) for law in fits],
                    "skipped": skipped,
                },
            )
            write_json(aside / "advice.json", _answer(space, fits))
        found = store.require("laws", "laws", key)
    for name in ("laws.json", "advice.json"):
        write_json(space.root / name, read_json(found.file(name)))


def _fit_all(space: Workspace, table: RunsTable) -> tuple[list[LawFit], list[dict[str, Any]]]:
    """Data laws with the largest budget held out, model and joint laws of all runs, and ratio laws
    of the types that have enough shares.

    Second: the laws that the runs cannot carry, each with its reason.
    """
    study = space.study
    held = _held_out(study)
    fits: list[LawFit] = []
    skipped: list[dict[str, Any]] = []
    for law, holdout, where in (
        ("data", held, None),
        ("model", None, None),
        ("joint", None, None),
        *(("ratio", None, _of_type(kind)) for kind in _types_by_share(table)),
    ):
        try:
            found = fit_laws(
                table,
                law,
                holdout=holdout,
                where=where,
                bootstrap=study.laws.bootstrap,
                seed=study.seed,
                objective=study.laws.objective,
            )
        except UsageError as error:
            skipped.append({"law": law, "mixture": None, "reason": str(error)})
            continue
        fits.extend(found)
        skipped.extend(found.skipped)
    return fits, skipped


def _types_by_share(table: RunsTable) -> list[str]:
    """Synthetic types of which enough shares were run for a law of the share."""
    try:
        runs, _ = table.usable(["params", "tokens", "ratio"])
    except UsageError:
        return []  # no run is finished: the other laws say so
    kinds, ratio = runs.texts["synthetic_type"], runs.numbers["ratio"]
    return [
        str(kind)
        for kind in dict.fromkeys(kinds[ratio > 0])
        if len(np.unique(ratio[(kinds == kind) & (ratio > 0)])) >= FEWEST_SHARES
    ]


def _of_type(kind: str) -> str:
    return f"ratio==0 or synthetic_type=='{kind}'"


def _asked(study: Study) -> tuple[float, float]:
    """Params and tokens of the study's question; by default those of its largest run."""
    asked = study.question
    if asked.params and asked.tokens:
        return asked.params, asked.tokens
    largest = max(runs_of(study, LLAMA3_VOCAB), key=lambda run: run.config.flops).config
    return asked.params or largest.shape.params, asked.tokens or float(largest.budget)


def _held_out(study: Study) -> str | None:
    """The runs that data laws are to predict: those of the largest budget that a ladder of more
    than three reaches."""
    ladders = [grid.budgets for grid in study.all_grids() if len(set(grid.budgets)) > 3]
    if not ladders:
        return None
    largest = max(max(budgets) for budgets in ladders)
    return f"tokens>={study.steps(largest) * study.training.batch_tokens}"


def _answer(space: Workspace, fits: Sequence[LawFit]) -> dict[str, Any]:
    """What `laws.answer` says to the study's question, and what the study cannot show.

    Laws that cannot answer, or a question far from all runs, are an answer too, not a failure.
    """
    study = space.study
    params, tokens = _asked(study)
    situation = Situation(params, tokens, baseline=study.baseline_name())
    limits = {"limits": limits_of(study, space.missing)}
    joint = [law for law in fits if law.law == "joint"]
    # Grids may give some mixtures too few sizes or budgets for a joint law; these answer by theirs.
    shares = [law for law in fits if law.law == "ratio"]
    of_mixtures = [law for law in fits if law.law != "ratio"]
    whole = {law.mixture for law in joint} == {law.mixture for law in of_mixtures}
    try:
        asked = [*(joint if whole else of_mixtures), *shares]
        return {**recommend(asked, situation), **limits}
    except UsageError as error:
        reason = str(error)
    return {
        "params": params,
        "tokens": tokens,
        "level": "undecided",
        "advice": f"No answer: {reason}.",
        **limits,
    }
