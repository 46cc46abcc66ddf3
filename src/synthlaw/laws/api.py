"""Fit laws to a table of runs: the one call that the command line and the study make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from synthlaw.common.errors import UsageError
from synthlaw.laws.fit.building import LawSet, Options, fit_group
from synthlaw.laws.fit.form_choice import fit_chosen_group, joint_forms
from synthlaw.laws.fit.grouping import HELD, Group, at_sizes, groups_of, mixture_names
from synthlaw.laws.fit.objectives import objective_named
from synthlaw.laws.fit.pooling import pooled
from synthlaw.laws.fit.ratio_fit import fit_ratio_group, forms_for, ratio_groups
from synthlaw.laws.fit.repetition_fit import fit_repetition_group
from synthlaw.laws.fit.selection import select
from synthlaw.laws.forms.catalogue import LAWS as PLAIN
from synthlaw.laws.forms.catalogue import form_named
from synthlaw.laws.forms.power import Form
from synthlaw.laws.forms.repetition import RepetitionForm
from synthlaw.laws.intervals import LEVEL
from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.table import LeftOut, Runs, RunsTable

__all__ = ["LAWS", "LawSet", "fit_laws", "named_runs"]

LAWS = (*PLAIN, "ratio", "repetition")
ROLLING = "rolling"
"""Name, among forms, of the choice by rolling error."""
NEEDS = {"repetition": ["params", "tokens", "unique_tokens"]}


def fit_laws(
    table: RunsTable,
    law: str,
    *,
    by: str | None = None,
    at: Mapping[str, float] | None = None,
    holdout: str | None = None,
    where: str | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    objective: str = "log-huber",
    delta: float = 1e-3,
    over: float = 1.0,
    unit: float = 1e9,
    level: float = LEVEL,
    weighting: str = "seeds",
    method: str = "auto",
    form: Form | str | None = None,
    fixed: Mapping[str, float] | None = None,
    profile: bool = False,
    rolling: bool = False,
) -> LawSet:
    """Fit `law` (data, model, joint, ratio, repetition) to each mixture of `table`.

    by: the column that tells mixtures apart (default: mixture where there is one, else one group;
    for a ratio law synthetic_type; several columns are parted by commas). A data law is fitted for
    every model size apart and a model law for every token budget apart; `at`, e.g.
    {"params": 1e9}, keeps the runs at one value of a variable, `where` those that satisfy an
    expression. holdout: runs that satisfy this expression are predicted, not fitted.
    bootstrap: number of resamples, 0 for no intervals. level: nominal coverage of intervals.
    weighting: "seeds" weights settings by the noise between their seeds, "none" weights all alike.
    method: resampling, see `uncertainty.bootstrap`. form: another form than the law's own, or its
    name; "rolling" for the joint form that foretells larger runs best (`fit.form_choice`).
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
        form == ROLLING,
    )
    return _law_set(table, law, _form(form, law, unit), (by, where, at or {}), options)


def _form(asked: Form | str | None, law: str, unit: float) -> Form | None:
    """The form asked for; None for the law's own, or where several compete."""
    if asked != ROLLING:
        return form_named(asked, unit=unit) if isinstance(asked, str) else asked
    if law != "joint":
        raise UsageError(f"form: found {ROLLING!r} for a {law} law; expected a joint law")
    return None


def named_runs(
    table: RunsTable,
    *,
    by: str | None = None,
    where: str | None = None,
    at: Mapping[str, float] | None = None,
) -> tuple[Runs, list[str]]:
    """The usable runs of a table and each one's mixture, named as `fit_laws` names its laws.

    Sizes that a row does not tell are NaN. Raises UsageError as `fit_laws` does.
    """
    usable, _ = table.usable([])
    runs = _chosen(usable, where, at or {}, table.origin)
    return runs, [str(name) for name in mixture_names(runs, by, table.origin)]


def _law_set(
    table: RunsTable,
    law: str,
    form: Form | None,
    chosen: tuple[str | None, str | None, Mapping[str, float]],
    options: Options,
) -> LawSet:
    """The laws of the runs that are chosen, by column, expression and sizes."""
    by, where, at = chosen
    usable, left_out = _usable(table, law, form)
    if options.holdout is not None:
        select(usable, options.holdout)  # A bad one is the user's mistake, not each group's.
    runs = _chosen(usable, where, at, table.origin)
    if law == "ratio":
        groups = ratio_groups(runs, by, table.origin)
    else:
        groups = groups_of(runs, law, by, table.origin)
    if options.choose:
        _require_known(options.fixed, joint_forms(options.unit["tokens"]))
    else:
        _require_known(options.fixed, _forms_of(law, form, groups))
    fitted, skipped = _fit_each(groups, law, form, options)
    if not fitted:
        reasons = "; ".join(f"'{s['mixture']}': {s['reason']}" for s in skipped[:5])
        raise UsageError(f"{table.origin}: no group of runs can carry a {law} law: {reasons}")
    apart = (by or "mixture,synthetic_type").split(",")
    used = {column.name for column in table.columns.chosen.values()}
    for group, result in fitted:
        result.warnings += pooled(group.runs, result.form.inputs, apart, used)
    laws = [result for _, result in fitted]
    return LawSet(laws, skipped, left_out, table.remarks(usable))


def _chosen(runs: Runs, where: str | None, at: Mapping[str, float], origin: str) -> Runs:
    """The runs that satisfy an expression and have the sizes asked for."""
    if where is not None:
        keep = select(runs, where)
        if not keep.any():
            raise UsageError(f"{origin}: found no runs where {where!r}")
        runs = runs.where(keep)
    return at_sizes(runs, at, origin)


def _usable(table: RunsTable, law: str, form: Form | None) -> tuple[Runs, list[LeftOut]]:
    """The runs with every number that the law needs, and the rows that none can use."""
    if law == "ratio":
        needs = [*[name for name in ("params", "tokens") if table.has(name)], "ratio"]
    else:
        needs = NEEDS.get(law) or list((form or form_named(PLAIN[law])).inputs)
    held = HELD.get(law)
    return table.usable(needs, separates=[held] if held else [])


def _forms_of(law: str, form: Form | None, groups: Sequence[Group]) -> list[Form]:
    """The forms that a law may be fitted in."""
    if law == "repetition":
        return [RepetitionForm((), 1.0)]
    if law == "ratio":
        return [f for group in groups for f in forms_for(group.runs, form)]
    return [form or form_named(PLAIN[law])]


def _require_known(fixed: Mapping[str, float], forms: Sequence[Form]) -> None:
    """A fixed coefficient that no form has is a mistake, and so is a value that none can have."""
    known = dict.fromkeys(name for f in forms for name in (*f.linear, *f.shape))
    for name, value in fixed.items():
        if name not in known:
            raise UsageError(f"fixed: found {name!r}; expected one of {', '.join(known)}")
        if not np.isfinite(value) or (value < 0 and any(name in f.linear for f in forms)):
            raise UsageError(
                f"fixed: found {name}={value:g}; expected a number that is not below 0"
            )


def _fit_one(group: Group, law: str, form: Form | None, options: Options) -> LawFit:
    if law == "ratio":
        return fit_ratio_group(group, options, form)
    if law == "repetition":
        return fit_repetition_group(group, options)
    if options.choose:
        return fit_chosen_group(group, options)
    return fit_group(group, law, form or form_named(PLAIN[law]), options)


def _fit_each(
    groups: Sequence[Group], law: str, form: Form | None, options: Options
) -> tuple[list[tuple[Group, LawFit]], list[dict[str, Any]]]:
    """The groups that can carry a law, each with it, and why the others cannot."""
    fitted: list[tuple[Group, LawFit]] = []
    skipped: list[dict[str, Any]] = []
    for group in groups:
        try:
            fitted.append((group, _fit_one(group, law, form, options)))
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
