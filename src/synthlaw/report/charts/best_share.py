"""The share of lowest loss at each size and budget, among those that were run: figure 4."""

from __future__ import annotations

from collections import defaultdict

from synthlaw.common.numbers import format_count
from synthlaw.report.artifacts import Run, Study
from synthlaw.report.chart import AxisSpec, Chart, Line, Mark, Panel, shade_ink
from synthlaw.report.curves import axis_ticks
from synthlaw.report.numerals import percent
from synthlaw.report.scaling import AXIS_TITLES

FEWEST_SHARES = 3
"""Shares, natural text among them, from which on a least one says something."""


def of_study(study: Study) -> Chart | None:
    """A panel per type, a line per size; None where no place has runs of enough shares."""
    runs = [run for run in study.finished_runs() if run.synthetic_ratio is not None]
    kinds = dict.fromkeys(run.synthetic_type for run in runs if run.synthetic_ratio)
    sizes = sorted({run.params for run in runs})
    inks = {
        size: shade_ink("size", len(sizes), len(sizes) - 1 - place)
        for place, size in enumerate(sizes)
    }
    panels, used = [], set()
    for kind in kinds:
        own = [run for run in runs if run.synthetic_type == kind or run.synthetic_ratio == 0]
        marks: list[Mark] = []
        for size in sizes:
            rows = _best(own, size)
            if rows:
                used.add(size)
                texts = [
                    f"{percent(share)} of {len(shares)} shares tried<br>"
                    f"{format_count(size)} parameters, {format_count(tokens)} tokens"
                    for tokens, share, shares in rows
                ]
                x, y = [row[0] for row in rows], [100 * row[1] for row in rows]
                marks.append(Line(inks[size], x, y, dashed=False, size=7, texts=texts))
        if marks:
            budgets = axis_ticks([run.tokens for run in own])
            x_axis = AxisSpec(
                AXIS_TITLES["tokens"], log=True, ticks=[(t, format_count(t)) for t in budgets]
            )
            y_axis = AxisSpec("share of lowest loss (%)", range=(-4, 104))
            panels.append(Panel(x_axis, y_axis, marks, label=kind, title=kind))
    if not panels:
        return None
    return Chart(
        panels,
        [(f"{format_count(size)} parameters", inks[size]) for size in sizes if size in used],
        words="Type",
        heading="Best share by size and budget",
        lead="The synthetic share of the run of lowest loss (mean over seeds) at each size and "
        "budget, where natural text and two shares more were run; between the shares tried it says "
        "nothing.",
    )


def _best(runs: list[Run], size: float) -> list[tuple[float, float, set[float]]]:
    """(tokens, best share, shares tried) of each budget with enough shares."""
    losses: dict[float, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        if run.params == size and run.loss is not None and run.synthetic_ratio is not None:
            losses[run.tokens][run.synthetic_ratio].append(run.loss)
    found = []
    for tokens, shares in sorted(losses.items()):
        if len(shares) >= FEWEST_SHARES and 0.0 in shares:
            means = {share: sum(values) / len(values) for share, values in shares.items()}
            found.append((tokens, min(means, key=lambda s: means[s]), set(shares)))
    return found
