"""A study's plan with what this machine can say of it: precision, inputs that are not here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synthlaw.study.data.natural import missing_inputs
from synthlaw.study.plan import plan_lines, plan_study
from synthlaw.study.precision import precision_request
from synthlaw.study.spec import Study
from synthlaw.training.precision import PrecisionRecord, settle_here


def plan_here(
    study: Study,
    base: Path,
    folder: Path | None = None,
    measured: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The plan of a study whose relative paths start at `base`; see `plan_study`.

    folder: a study folder whose measured speeds and settled precision to use. A plan may be made
    where the text is not; that it is not here is said (`missing`), not refused.
    """
    request = precision_request(study, base)
    precision = PrecisionRecord.read(folder) if folder else None
    if precision is not None and request.asked not in ("auto", precision.dtype):
        precision = None
    if precision is None and study.plan.gpu is None:  # every GPU listed has bf16
        precision = settle_here(request)
    missing = missing_inputs(study, base)
    return {**plan_study(study, base, folder, precision, measured), "missing": missing}


def planned_lines(plan: dict[str, Any]) -> list[str]:
    """The plan for people."""
    return [*plan_lines(plan), *(f"not here      {said}" for said in plan["missing"])]
