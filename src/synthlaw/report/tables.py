"""The page's tables as CSV, for a spreadsheet or a script; full precision, UTF-8."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

from synthlaw.report.artifacts import Interval, Study
from synthlaw.report.claims import claims_of
from synthlaw.report.curves import Axis, views
from synthlaw.report.generator_curves import generator_points
from synthlaw.report.palette import mixture_kinds
from synthlaw.report.round_curves import round_points
from synthlaw.report.sections import coefficient_names, drop_table

Rows = list[list[Any]]


def study_tables(study: Study) -> dict[str, str]:
    """CSV of every table that the study has numbers for, by file name."""
    makers: dict[str, Callable[[Study], Rows]] = {
        "answer": _answer,
        "curves": _curves,
        "ratios": _ratios,
        "laws": _laws,
        "domains": _domains,
        "generation": _generation,
        "mixtures": _mixtures,
        "generators": _generators,
        "claims": _claims,
        "rounds": _rounds,
    }
    made = {f"{name}.csv": make(study) for name, make in makers.items()}
    return {name: _as_csv(rows) for name, rows in made.items() if len(rows) > 1}


def _as_csv(rows: Rows) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def _ends(span: Interval | None) -> Sequence[float | None]:
    return span if span is not None else (None, None)


def _answer(study: Study) -> Rows:
    head = ["mixture", "synthetic_type", "synthetic_ratio"]
    for name in ("loss", "difference", "speedup"):
        head += [name, f"{name}_low", f"{name}_high"]
    rows: Rows = [[*head, "probability_best"]]
    for it in study.advice.mixtures if study.advice else ():
        numbers = [it.loss, *_ends(it.loss_interval)]
        numbers += [it.difference, *_ends(it.difference_interval)]
        numbers += [it.speedup, *_ends(it.speedup_interval), it.probability_best]
        rows.append([it.mixture, it.synthetic_type, it.synthetic_ratio, *numbers])
    return rows


def _curves(study: Study) -> Rows:
    """The fitted curves on the charts' own grid, with the law that each was read from."""
    rows: Rows = [["along", "mixture", "law", "params", "tokens", "loss", "low", "high"]]
    axes: tuple[Axis, Axis] = ("tokens", "params")
    for axis in axes:
        for view in views(study, axis, list(mixture_kinds(study))):
            for curve in view.curves:
                bands = zip(curve.low, curve.high, strict=True) if curve.low else None
                for x, loss in zip(curve.x, curve.loss, strict=True):
                    low, high = next(bands) if bands else (None, None)
                    params, tokens = (view.fixed, x) if axis == "tokens" else (x, view.fixed)
                    kind = curve.law.law if curve.law else ""
                    rows.append([axis, curve.mixture, kind, params, tokens, loss, low, high])
    return rows


def _ratios(study: Study) -> Rows:
    rows: Rows = [["synthetic_type", "ratio", "loss", "low", "high"]]
    for curve in study.advice.ratios if study.advice else ():
        for point in curve.points:
            rows.append([curve.synthetic_type, point.ratio, point.loss, *_ends(point.interval)])
    return rows


def _laws(study: Study) -> Rows:
    names = coefficient_names(study.laws)
    head = ["mixture", "law", "at_params", "at_tokens", "unit_params", "unit_tokens"]
    head += [column for name in names for column in (name, f"{name}_low", f"{name}_high")]
    head += ["points", "objective", "value", "holdout_points", "rmabe", "warnings"]
    rows: Rows = [head]
    for law in study.laws:
        row: list[Any] = [law.mixture, law.law, law.fixed_at("params"), law.fixed_at("tokens")]
        row += [law.unit.params, law.unit.tokens]
        for name in names:
            row += [law.coefficients.get(name), *_ends(law.intervals.get(name))]
        held = law.holdout
        row += [law.points, law.objective, law.value]
        row += [held.points if held else None, held.rmabe if held else None]
        rows.append([*row, " ".join(warning.code for warning in law.warnings)])
    return rows


def _domains(study: Study) -> Rows:
    rows: Rows = [["run", "mixture", "params", "tokens", "seed", "domain", "loss", "low", "high"]]
    known = study.evaluation.intervals if study.evaluation else ()
    spans = {(row.run, row.domain): (row.low, row.high) for row in known}
    for run in study.finished_runs():
        for domain, loss in run.domains.items():
            span = spans.get((run.run, domain), (None, None))
            point = [run.run, run.mixture, run.params, run.tokens, run.seed]
            rows.append([*point, domain, loss, *span])
    return rows


def _generation(study: Study) -> Rows:
    rows: Rows = [["recipe", "version", "outcome", "documents"]]
    recipes = study.generation.recipes if study.generation else ()
    if recipes:
        for outcome, counts, _ in drop_table(recipes).rows:
            for recipe, documents in zip(recipes, counts, strict=True):
                rows.append([recipe.recipe, recipe.version, outcome, documents])
    return rows


def _generators(study: Study) -> Rows:
    rows: Rows = [
        ["recipe", "generator", "share", "params", "tokens", "loss", "low", "high", "runs"]
    ]
    for it in generator_points(study):
        place = [it.recipe, it.generator, it.share, it.params, it.tokens]
        rows.append([*place, it.loss, *_ends(it.interval), it.runs])
    return rows


def _claims(study: Study) -> Rows:
    rows: Rows = [["statement", "section", "verdict", "of", "value", "low", "high", "unit", "says"]]
    found = claims_of(study)
    for row in found.rows if found else ():
        head = [row.statement, row.section, row.verdict]
        for it in row.findings:
            rows.append([*head, it.of, it.value, *_ends(it.interval), it.unit, it.verdict])
        if not row.findings:
            rows.append([*head, None, None, None, None, None, row.missing])
    return rows


def _rounds(study: Study) -> Rows:
    head = ["chain", "round", "mixture", "params", "tokens", "loss", "low", "high", "runs"]
    rows: Rows = [[*head, "distinct_3"]]
    for it in round_points(study):
        place = [it.chain, it.round, it.mixture, it.params, it.tokens]
        rows.append([*place, it.loss, *_ends(it.interval), it.runs, it.distinct])
    return rows


def _mixtures(study: Study) -> Rows:
    head = ["mixture", "budget", "source", "share_asked", "share_realised", "tokens", "epochs"]
    rows: Rows = [head]
    for mixture in study.mixtures:
        for it in mixture.sources:
            numbers = [it.share_asked, it.share_realised, it.tokens, it.epochs]
            rows.append([mixture.mixture, mixture.tokens, it.source, *numbers])
    return rows
