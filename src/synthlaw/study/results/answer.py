"""The laws and the answer of a study: laws.json and advice.json, from runs.csv alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from synthlaw.common.digest import file_digest
from synthlaw.common.errors import UsageError
from synthlaw.common.files import read_json, write_json
from synthlaw.common.numbers import format_count
from synthlaw.laws.answer.comparison import losses, paired, ranking, speedup, spread
from synthlaw.laws.api import fit_laws
from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.table import RunsTable
from synthlaw.study.mixing import mean_shares
from synthlaw.study.results.caveats import limits_of
from synthlaw.study.workspace import Workspace

LAWS_VERSION = 3
REPLICATES_KEPT = 200
"""Refits written beside each law: the page draws its bands from them."""

CONVINCING = 0.9
"""Probability of being the best mixture from which the answer counts as supported."""


def make_answer(space: Workspace) -> None:
    """Fit every law and answer the study's question; both files are put beside runs.csv."""
    study, store = space.study, space.store
    inputs = {
        "runs": file_digest(space.root / "runs.csv"),
        "laws": study.laws.model_dump(),
        "question": study.question.model_dump(),
        "baseline": study.baseline_name(),
        "seed": study.seed,
        "limits": limits_of(study),
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
    """Data laws with the largest budget held out, then model and joint laws of all runs.

    Second: the laws that the runs cannot carry, each with its reason.
    """
    study = space.study
    budgets = sorted(
        {study.steps(b) * int(study.training.batch_tokens) for b in study.ladder.budgets}
    )
    held = f"tokens>={budgets[-1]}" if len(budgets) > 3 else None
    fits: list[LawFit] = []
    skipped: list[dict[str, Any]] = []
    for law, holdout in (("data", held), ("model", None), ("joint", None)):
        try:
            found = fit_laws(
                table,
                law,
                holdout=holdout,
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


def _answer(space: Workspace, fits: Sequence[LawFit]) -> dict[str, Any]:
    study = space.study
    params = study.question.params or max(size.params for size in study.ladder.sizes.values())
    tokens = study.question.tokens or max(study.ladder.budgets)
    asked = {"params": params, "tokens": tokens}
    laws = _laws_that_answer(fits, params)
    baseline = next((law for law in laws if law.mixture == study.baseline_name()), None)
    answer: dict[str, Any] = {
        "question": asked,
        "baseline": study.baseline_name(),
        "law": laws[0].law if laws else None,
        "limits": limits_of(study),
    }
    if baseline is None:
        return {
            **answer,
            "headline": "The runs are too few for a law of every mixture: no answer.",
            "level": "undecided",
            "mixtures": [],
            "ratios": [],
            "warnings": [],
        }
    mixtures = {name: mean_shares(study, name) for name in study.mixtures}
    rows = [_row(law, baseline, asked, mixtures) for law in laws]
    chances = {r["mixture"]: r["probability_best"] for r in ranking(laws, **asked)}
    for row in rows:
        row["probability_best"] = chances[row["mixture"]]
    rows.sort(key=lambda row: row["loss"])
    level = _level(rows, baseline.mixture)
    return {
        **answer,
        "headline": _headline(rows, asked, baseline.mixture, level),
        "level": level,
        "mixtures": rows,
        "ratios": _ratios(rows),
        "warnings": _warnings(laws),
    }


def _laws_that_answer(fits: Sequence[LawFit], params: float) -> list[LawFit]:
    """Joint laws, or the data laws at the size asked about when the grid has one size."""
    joint = [law for law in fits if law.law == "joint"]
    if joint:
        return joint
    data = [law for law in fits if law.law == "data" and "params" in law.at]
    return [law for law in data if np.isclose(law.at["params"] * law.unit["params"], params)]


def _row(
    law: LawFit, baseline: LawFit, asked: dict[str, float], mixtures: dict[str, dict[str, float]]
) -> dict[str, Any]:
    own, base = paired(law, baseline)
    loss, reference = losses(law, own, **asked), losses(baseline, base, **asked)
    row: dict[str, Any] = {
        "mixture": law.mixture,
        "synthetic_type": law.synthetic_type,
        "synthetic_ratio": law.ratio,
        "loss": float(loss[0]),
        "loss_interval": spread(law, loss),
    }
    if law is baseline:
        return {
            **row,
            "difference": 0.0,
            "difference_interval": None,
            "speedup": 1.0,
            "speedup_interval": None,
        }
    faster = speedup(
        baseline,
        law,
        asked["tokens"],
        **({"params": asked["params"]} if law.law == "joint" else {}),
    )
    return {
        **row,
        "difference": float(loss[0] - reference[0]),
        "difference_interval": spread(law, loss - reference),
        "speedup": faster["speedup"],
        "speedup_interval": faster["interval"],
        "probability_faster": faster["probability_faster"],
    }


def _level(rows: Sequence[dict[str, Any]], baseline: str) -> str:
    best = rows[0]
    chance = best["probability_best"]
    if chance is None or chance < CONVINCING:
        return "undecided"
    if best["mixture"] == baseline:
        return "supported"
    bounds = best["difference_interval"]
    return "supported" if bounds and bounds[1] is not None and bounds[1] < 0 else "undecided"


def _headline(
    rows: Sequence[dict[str, Any]], asked: dict[str, float], baseline: str, level: str
) -> str:
    best = rows[0]
    place = (
        f"At {format_count(asked['params'])} non-embedding parameters and "
        f"{format_count(asked['tokens'])} training tokens"
    )
    chance = best["probability_best"]
    odds = "" if chance is None else f" (probability {chance:.0%} under the bootstrap)"
    if level == "undecided":
        opening = (
            f"{place} these runs do not settle which mixture is best: {best['mixture']} has the "
            f"lowest expected loss, {best['loss']:.3f} nats per token{odds}"
        )
    else:
        opening = (
            f"{place} {best['mixture']} has the lowest expected loss, {best['loss']:.3f} nats per "
            f"token{odds}"
        )
    if best["mixture"] == baseline:
        return f"{opening}; no synthetic mixture is expected to beat it."
    bounds = best["difference_interval"]
    spread_text = f" (90% interval {bounds[0]:+.3f} to {bounds[1]:+.3f})" if _whole(bounds) else ""
    faster = best["speedup_interval"]
    range_text = f" ({faster[0]:.2f} to {faster[1]:.2f})" if _whole(faster) else ""
    return (
        f"{opening}; that is {best['difference']:+.3f} against {baseline}{spread_text}, an "
        f"equal-loss speed-up of {best['speedup']:.2f}{range_text}."
    )


def _whole(bounds: Sequence[float | None] | None) -> bool:
    return bounds is not None and None not in bounds


def _ratios(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Loss against the synthetic share, by type; the natural mixture is everyone's share zero."""
    natural = [row for row in rows if not row["synthetic_type"]]
    kinds = sorted({row["synthetic_type"] for row in rows if row["synthetic_type"]})
    found = []
    for kind in kinds:
        own = natural + [row for row in rows if row["synthetic_type"] == kind]
        points = [
            {
                "ratio": row["synthetic_ratio"] or 0.0,
                "loss": row["loss"],
                "interval": row["loss_interval"],
            }
            for row in own
        ]
        found.append({"synthetic_type": kind, "points": sorted(points, key=_by_ratio)})
    return found


def _by_ratio(point: dict[str, Any]) -> float:
    return float(point["ratio"])


def _warnings(laws: Sequence[LawFit]) -> list[dict[str, str]]:
    return [
        {"code": caution.code, "message": f"{law.mixture}: {caution.message}"}
        for law in laws
        for caution in law.warnings
    ]
