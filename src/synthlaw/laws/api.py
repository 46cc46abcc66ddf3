"""Fit laws to a table of runs: the one call that the command line and the study make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synthlaw.common.errors import UsageError
from synthlaw.laws.fit.building import LawSet, Options, fit_group
from synthlaw.laws.fit.grouping import Group, groups_of
from synthlaw.laws.fit.objectives import objective_named
from synthlaw.laws.fit.ratio_fit import fit_ratio_group, ratio_groups
from synthlaw.laws.fit.repetition_fit import fit_repetition_group
from synthlaw.laws.fit.selection import select
from synthlaw.laws.fit.uncertainty import LEVEL
from synthlaw.laws.forms.power import DATA, JOINT, MODEL, Form
from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.table import LeftOut, RunsTable

LAWS = ("data", "model", "joint", "ratio", "repetition")
NEEDS = {"repetition": ["params", "tokens", "unique_tokens"]}
FORMS: dict[str, Form] = {"data": DATA, "model": MODEL, "joint": JOINT}


def fit_laws(
    table: RunsTable,
    law: str,
    *,
    by: str | None = None,
    at: Mapping[str, float] | None = None,
    holdout: str | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    objective: str = "log-huber",
    delta: float = 1e-3,
    over: float = 1.0,
    unit: float = 1e9,
    level: float = LEVEL,
    weighting: str = "seeds",
    method: str = "auto",
    form: Form | None = None,
    fixed: Mapping[str, float] | None = None,
    profile: bool = False,
    rolling: bool = False,
) -> LawSet:
    """Fit `law` (data, model, joint, ratio, repetition) to each mixture of `table`.

    by: the column that tells mixtures apart (default: mixture where there is one, else one group;
    for a ratio law synthetic_type). A data law is fitted for every model size apart and a model
    law for every token budget apart; `at`, e.g. {"params": 1e9}, keeps one of them.
    holdout: runs that satisfy this expression are predicted, not fitted.
    bootstrap: number of resamples, 0 for no intervals. level: nominal coverage of intervals.
    weighting: "seeds" weights settings by the noise between their seeds, "none" weights all alike.
    method: resampling, see `uncertainty.bootstrap`. form: another form than the law's own.
    fixed: coefficients not to be fitted, for sizes in `unit`. profile: add profile intervals.
    rolling: fit below each size in turn and score beyond it.

    Groups that cannot carry the law are listed in `skipped`. Raises UsageError when none can.
    """
    if law not in LAWS:
        raise UsageError(f"law: found {law!r}; expected one of {', '.join(LAWS)}")
    if bootstrap < 0 or not 0 < level < 1:
        raise UsageError(
            f"bootstrap {bootstrap}, level {level}: expected a count and a level within 0 to 1"
        )
    options = Options(
        objective_named(objective, delta, over),
        {"params": unit, "tokens": unit},
        holdout,
        bootstrap,
        seed,
        level,
        weighting,
        method,
        dict(fixed or {}),
        profile,
        rolling,
    )
    groups, left_out = _groups(table, law, form, by, at, holdout)
    fitted, skipped = _fit_each(groups, law, form, options)
    if not fitted:
        reasons = "; ".join(f"'{s['mixture']}': {s['reason']}" for s in skipped[:5])
        raise UsageError(f"{table.origin}: no group of runs can carry a {law} law: {reasons}")
    return LawSet(fitted, skipped, left_out)


def _groups(
    table: RunsTable,
    law: str,
    form: Form | None,
    by: str | None,
    at: Mapping[str, float] | None,
    holdout: str | None,
) -> tuple[list[Group], list[LeftOut]]:
    """The groups of runs that are to carry a law each, and the rows that none can use."""
    if law == "ratio":
        needs = [*[name for name in ("params", "tokens") if table.has(name)], "ratio"]
    else:
        needs = NEEDS.get(law) or list((form or FORMS[law]).inputs)
    runs, left_out = table.usable(needs)
    if holdout is not None:
        select(runs, holdout)  # A bad expression is the user's mistake, not each group's.
    if law == "ratio":
        return ratio_groups(runs, by, at, table.origin), left_out
    return groups_of(runs, law, by, at, table.origin), left_out


def _fit_one(group: Group, law: str, form: Form | None, options: Options) -> LawFit:
    if law == "ratio":
        return fit_ratio_group(group, options, form)
    if law == "repetition":
        return fit_repetition_group(group, options)
    return fit_group(group, law, form or FORMS[law], options)


def _fit_each(
    groups: Sequence[Group], law: str, form: Form | None, options: Options
) -> tuple[list[LawFit], list[dict[str, Any]]]:
    """The laws of the groups that can carry one, and why the others cannot."""
    fitted: list[LawFit] = []
    skipped: list[dict[str, Any]] = []
    for group in groups:
        try:
            fitted.append(_fit_one(group, law, form, options))
        except UsageError as error:
            skipped.append(
                {
                    "law": law,
                    "mixture": group.name,
                    "at": group.at_json(options.unit),
                    "points": len(group.runs),
                    "reason": str(error),
                }
            )
    return fitted, skipped
