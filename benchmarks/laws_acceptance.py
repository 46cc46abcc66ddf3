"""Published fits reproduced, and every optimum checked against random starts.

    python benchmarks/laws_acceptance.py FOLDER [--starts 2000]

FOLDER holds one folder per source: gadre_overtraining (arXiv 2403.08540), kyo_chinchilla
(github.com/kyo-takano/chinchilla), olmo_ladder (arXiv 2412.04403), datablations (arXiv 2305.16264),
paper_2510_01631 and regmix (arXiv 2407.01492), as tables of runs with the published figures beside
them. Prints one line per figure and exits with status 1 if one is missed. --starts 0 leaves the
random starts out.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from laws_starts import best_of_random_starts
from synthlaw.laws.answer import reference
from synthlaw.laws.answer.comparison import consistency, crossings, speedup
from synthlaw.laws.api import fit_laws
from synthlaw.laws.fit.fitting import FitProblem, solve
from synthlaw.laws.fit.objectives import Objective, objective_named
from synthlaw.laws.forms.catalogue import form_named
from synthlaw.laws.forms.power import JOINT, TIED, Form
from synthlaw.laws.forms.ratio_forms import candidates
from synthlaw.laws.forms.repetition import RepetitionForm
from synthlaw.laws.shares import best_ratio, curve
from synthlaw.laws.table import RunsTable

COLUMNS = {"params": "N", "tokens": "D"}
GADRE = "E + a * params**-eta + c * 6**(-eta/2) * tokens**-eta"
SINGLE_EPOCH = {
    "E": math.exp(0.6254804),
    "A": math.exp(6.255414),
    "B": math.exp(7.3049974),
    "alpha": 0.3526596,
    "beta": 0.3526596,
}


@dataclass(frozen=True)
class Check:
    """A figure found beside the one expected."""

    name: str
    found: float | str
    expected: float | str
    passed: bool


def near(name: str, found: float, expected: float, tolerance: float, relative: bool) -> Check:
    """A number within a tolerance."""
    gap = abs(found - expected) / (abs(expected) if relative else 1.0)
    return Check(name, found, expected, bool(gap <= tolerance))


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def expected_of(folder: Path) -> Any:
    """The published figures of a source."""
    return json.loads((folder / "expected.json").read_text(encoding="utf-8"))


def gadre_rows(folder: Path, dataset: str) -> list[dict[str, str]]:
    """The five runs that the source fits, and the two that it predicts."""
    small = ("d=96_l=8_h=4", "d=512_l=8_h=4", "d=576_l=24_h=8", "d=1024_l=24_h=8")
    wanted = {(name, 1.0) for name in small}
    wanted |= {("d=96_l=8_h=4", 16.0), ("open_lm_1b", 32.0), ("open_lm_7b", 1.0)}
    rows = rows_of(folder / "models.csv")
    return [
        row
        for row in rows
        if row["dataset"] == dataset and (row["model"], float(row["cc_mult"])) in wanted
    ]


def gadre(folder: Path) -> Iterator[Check]:
    """The four-parameter law of arXiv 2403.08540 as a user-defined form."""
    expected = expected_of(folder)["rpj"]
    table = RunsTable.from_rows(gadre_rows(folder, "rpj"), {**COLUMNS, "loss": "loss_c4_val"})
    law = fit_laws(
        table, "joint", form=form_named(GADRE, unit=1.0), unit=1.0, objective="mse",
        holdout="params>1e9", bootstrap=0,
    )[0]  # fmt: skip
    errors = {row["params"]: 100 * row["error"] for row in law.holdout["rows"]}
    small, large = (errors[key] for key in sorted(errors))
    yield near("gadre 1.4B error %", round(small, 4), expected["err_pct_1b_M640"], 1e-9, False)
    yield near("gadre 6.9B error %", round(large, 4), expected["err_pct_7b_M20"], 1e-9, False)
    yield near("gadre E", law.coefficients["E"], expected["E"], 1e-4, True)


def kyo(folder: Path) -> Iterator[Check]:
    """Log-Huber optimum, and the source's own asymmetric objective, in raw units."""
    table = RunsTable.read(folder / "df.csv", COLUMNS)
    law = fit_laws(table, "joint", unit=1.0, bootstrap=0)[0]
    published = {"E": 1.7839, "A": 442.16, "B": 1271.8, "alpha": 0.3426, "beta": 0.3420}
    for name, value in published.items():
        yield near(f"kyo log-huber {name}", law.coefficients[name], value, 1e-3, True)
    envelope = fit_laws(
        table, "joint", unit=1.0, bootstrap=0, objective="huber", delta=1e-9, over=10.0
    )[0]
    mean = envelope.value / 1e-9 / envelope.points
    expected = expected_of(folder)
    yield Check("kyo asymmetric mean error", mean, f"<= {expected['objective']}",
                mean <= expected["objective"])  # fmt: skip
    for name in ("E", "alpha", "beta"):
        yield near(
            f"kyo asymmetric {name}", envelope.coefficients[name], expected[name], 1e-3, True
        )


def olmo(folder: Path) -> Iterator[Check]:
    """Predictions for the 13B model trained on 5T tokens."""
    rows = rows_of(folder / "step1_points.csv")
    for metric in ("c4", "rc_bpb"):
        for published in rows_of(folder / f"published_step1_{metric}.csv"):
            # The C4 loss has no task: its points are listed once, its prediction eight times.
            task = rows[0]["task"] if metric == "c4" else published["Task"]
            own = [row for row in rows if row["metric"] == metric and row["task"] == task]
            table = RunsTable.from_rows(own, {**COLUMNS, "loss": "value"})
            law = fit_laws(table, "joint", holdout="mode=='eval'", bootstrap=0)[0]
            found = {row["params"]: row["predicted"] for row in law.holdout["rows"]}
            value = float(published["Pred"])
            yield near(f"olmo {metric} {published['Task']}", found[max(found)], value, 1e-4, True)


def repetition_problem(folder: Path, fixed: Mapping[str, float]) -> FitProblem:
    """The repetition law on the published 182 runs."""
    table = RunsTable.read(folder / "runs_182.csv", COLUMNS)
    runs, _ = table.usable(["params", "tokens", "unique_tokens"])
    unit = {"params": 1.0, "tokens": 1.0, "unique_tokens": 1.0}
    form = RepetitionForm(tuple(SINGLE_EPOCH.items()), 1.0)
    return FitProblem(form, runs.inputs(), runs.loss, np.ones(len(runs)),
                      objective_named("log-huber"), unit, {**SINGLE_EPOCH, **fixed})  # fmt: skip


def datablations(folder: Path) -> Iterator[Check]:
    """The repetition law: the published point, the true optimum, and how little it says."""
    expected = expected_of(folder)
    point = {name: expected["published"][name] for name in ("R_D", "R_N")}
    there = solve(repetition_problem(folder, point))
    yield near("datablations objective there", there.value, 0.0158259, 1e-6, False)
    table = RunsTable.read(folder / "runs_182.csv", COLUMNS)
    law = fit_laws(table, "repetition", unit=1.0, fixed=SINGLE_EPOCH, bootstrap=500)[0]
    yield Check("datablations optimum", law.value, "<= .0158047", law.value <= 0.0158047)
    yield near("datablations R_D", law.coefficients["R_D"], 95.365, 1e-2, True)
    flagged = [w for w in law.warnings if w.code == "weakly-identified" and "R_D" in w.message]
    low, high = law.intervals["R_D"]
    yield Check("datablations R_D flagged", f"[{low:.1f}, {high:.1f}]", "warning", bool(flagged))


def paper(folder: Path) -> Iterator[Check]:
    """Crossings, speed-ups and the consistency of the paper's two tables."""
    expected = expected_of(folder)
    data = {law.mixture: law for law in reference.data_laws()}
    model = {law.mixture: law for law in reference.model_laws()}
    for name, digits in (("33TXBK", 2), ("HQ", 1), ("67TXBK", 0), ("QA", 2)):
        found = crossings(data["CC"], data[name], "tokens", low=1e9, high=1e13)
        at = [c.at / 1e9 for c in found]
        goal = round(expected["crossings_D"][name], digits)
        yield Check(f"paper crossing D {name}", str([round(a, digits) for a in at]), str([goal]),
                    [round(a, digits) for a in at] == [goal])  # fmt: skip
    found = [round(c.at / 1e9, 3) for c in crossings(model["CC"], model["QA"], "params")]
    goal = expected["crossings_N"]["QA"]
    yield Check("paper crossings N QA", str(found), str(goal), found == goal)
    for tokens, value in expected["speedup_33HQ"].items():
        rate = speedup(data["CC"], data["33HQ"], float(tokens) * 1e9)["speedup"]
        yield near(f"paper speed-up 33HQ at {tokens}B", round(rate, 2), value, 1e-9, False)
    meeting = consistency(data["QA"], model["QA"], reference.fit_error())
    apart = f"{abs(meeting['relative']):.1%}"
    flagged = apart == "3.5%" and not meeting["consistent"]
    yield Check("paper QA inconsistent", apart, "3.5%", flagged)


def ratio_tables(folder: Path) -> dict[str, RunsTable]:
    """Loss against one share: C4 against Python, and Pile-CC against sixteen other domains."""
    python = [
        {"params": row["N"], "tokens": row["D"], "loss": row["c4_val_loss"],
         "synthetic_ratio": round(1 - float(row["c4_fraction"]), 6)}
        for row in rows_of(folder / "datablations" / "c4_python_ratio.csv")
    ]  # fmt: skip
    tables = {"c4_python": RunsTable.from_rows(python)}
    for size in ("1m", "60m", "1B"):
        losses = rows_of(folder / "regmix" / f"test_pile_loss_{size}.csv")
        weights = rows_of(folder / "regmix" / f"test_mixture_{size}.csv")
        by_index = {row["index"]: row for row in losses}
        rows = [
            {"synthetic_ratio": row["train_the_pile_pile_cc"],
             "loss": by_index[row["index"]]["metric/the_pile_pile_cc_val_loss"]}
            for row in weights
            if row["index"] in by_index
        ]  # fmt: skip
        tables[f"regmix {size}"] = RunsTable.from_rows(rows)
    return tables


def ratio_curves(folder: Path) -> Iterator[Check]:
    """Curves of the share must fall or rise as the runs do, and their best share be sensible."""
    for name, table in ratio_tables(folder).items():
        law = fit_laws(table, "ratio", bootstrap=300)[0]
        found = best_ratio(law)
        low, high = found["interval"]
        text = f"best {found['ratio']:.3f} [{low:.3f}, {high:.3f}] by {law.form.name}"
        if name == "c4_python":
            # More Python never helps on C4 text.
            drop = np.diff(curve(law, np.linspace(0, 0.9, 10))["loss"])
            yield Check(
                f"ratio {name}", text, "best 0, rising", high <= 0.05 and bool((drop[1:] > 0).all())
            )
        else:
            # Source: the best weight of Pile-CC for Pile-CC is near 0.87 to 0.89.
            yield Check(f"ratio {name}", text, "best >= 0.6", found["ratio"] >= 0.6)


def all_problems(folder: Path) -> Iterator[tuple[str, FitProblem]]:
    """Every fit of every table, for the comparison with random starts."""
    huber = objective_named("log-huber")
    yield (
        "kyo",
        plain_problem(RunsTable.read(folder / "kyo_chinchilla/df.csv", COLUMNS), JOINT, huber),
    )
    rows = rows_of(folder / "olmo_ladder" / "step1_points.csv")
    for metric, task in dict.fromkeys((row["metric"], row["task"]) for row in rows):
        own = [r for r in rows if (r["metric"], r["task"], r["mode"]) == (metric, task, "train")]
        table = RunsTable.from_rows(own, {**COLUMNS, "loss": "value"})
        yield f"olmo {metric} {task}", plain_problem(table, JOINT, huber)
    models = rows_of(folder / "gadre_overtraining" / "models.csv")
    for dataset in ("rpj", "c4_original", "rw_original"):
        few = gadre_rows(folder / "gadre_overtraining", dataset)
        few = [row for row in few if float(row["N"]) < 1e9]
        every = [row for row in models if row["dataset"] == dataset]
        for name, part, form in (("5", few, TIED), ("all", every, JOINT)):
            table = RunsTable.from_rows(part, {**COLUMNS, "loss": "loss_c4_val"})
            yield f"gadre {dataset} {name}", plain_problem(table, form, huber)
    yield "datablations 182", repetition_problem(folder / "datablations", {})
    for name in ("runs_182", "runs_all_296"):
        table = RunsTable.read(folder / "datablations" / f"{name}.csv", COLUMNS)
        yield f"datablations {name} joint", plain_problem(table, JOINT, huber)
    for name, table in ratio_tables(folder).items():
        for form in candidates("", 10):
            yield f"{name} {form.name}", plain_problem(table, form, huber)


def plain_problem(table: RunsTable, form: Form, objective: Objective) -> FitProblem:
    """A fit with unit weights in units of 1e9."""
    runs, _ = table.usable(form.inputs)
    inputs = {name: runs.numbers[name] for name in form.inputs}
    unit = {"params": 1e9, "tokens": 1e9}
    return FitProblem(form, inputs, runs.loss, np.ones(len(runs)), objective, unit, {})


def random_starts(folder: Path, starts: int) -> Iterator[Check]:
    """Every optimum against the best of random L-BFGS starts."""
    for name, problem in all_problems(folder):
        ours = solve(problem).value
        theirs = best_of_random_starts(problem, starts, seed=0)
        gap = (ours - theirs) / max(theirs, 1e-300)
        yield Check(f"starts {name}", f"{ours:.12g}", f"<= {theirs:.12g} ({gap:+.1e})", gap <= 1e-9)


def main() -> None:
    """Run all checks; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--starts", type=int, default=2000)
    options = parser.parse_args()
    folder = options.folder
    groups = [
        gadre(folder / "gadre_overtraining"),
        kyo(folder / "kyo_chinchilla"),
        olmo(folder / "olmo_ladder"),
        datablations(folder / "datablations"),
        paper(folder / "paper_2510_01631"),
        ratio_curves(folder),
        *([random_starts(folder, options.starts)] if options.starts else []),
    ]
    missed = total = 0
    start = time.perf_counter()
    for group in groups:
        for check in group:
            total += 1
            missed += not check.passed
            found = f"{check.found:.8g}" if isinstance(check.found, float) else check.found
            expected = (
                f"{check.expected:.8g}" if isinstance(check.expected, float) else check.expected
            )
            mark = "ok  " if check.passed else "MISS"
            print(f"{mark} {check.name:44s} {found:>34s}  expected {expected}", flush=True)
    print(f"{total - missed} of {total} met in {time.perf_counter() - start:.0f} s")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
