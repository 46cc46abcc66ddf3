"""Lines of equal expected loss over model size and tokens, a panel per mixture: figure 8."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import format_count
from synthlaw.laws.answer.comparison import size_to_reach
from synthlaw.laws.lawfit import LawFit
from synthlaw.report.artifacts import Study
from synthlaw.report.chart import TEXT, AxisSpec, Chart, Line, Mark, Panel, shade_ink
from synthlaw.report.curves import axis_ticks
from synthlaw.report.maps import PARAMS, TOKENS, fitted_box
from synthlaw.report.numerals import number
from synthlaw.report.plotly_charts import chart_text
from synthlaw.report.situations import Reach, joint_laws, reach_of

Array = NDArray[np.float64]

LEVELS = 9
POINTS = 40
BEYOND = 30.0
"""How far beyond the runs a map of losses is drawn, as a factor."""


def of_study(study: Study) -> Chart | None:
    """None without laws of both sizes."""
    laws = joint_laws(study)
    reach = reach_of(laws)
    if reach is None:
        return None
    levels = _levels(laws, reach)
    panels = [panel for law in laws if (panel := _panel(law, reach, levels)) is not None]
    if not panels:
        return None
    return Chart(
        panels,
        [
            (f"loss {number(level, 2)}", shade_ink("level", LEVELS, place))
            for place, level in enumerate(levels)
        ],
        words="Mixture",
        in_files=3,
        heading="Loss over size and tokens",
        lead="Lines of equal expected loss of each mixture’s joint law, the same losses for all "
        "mixtures; the dotted box is what was run, all outside it is extrapolation.",
    )


def _panel(law: LawFit, reach: Reach, levels: list[float]) -> Panel | None:
    params = np.geomspace(reach.params[0], reach.params[1] * BEYOND, POINTS)
    tokens = np.geomspace(reach.tokens[0], reach.tokens[1] * BEYOND, POINTS)
    lines: list[Mark] = []
    for place, level in enumerate(levels):
        try:
            points = _contour(law, level, params, tokens)
        except UsageError:  # a form that is no power of its sizes
            return None
        if points:
            texts = [
                f"{chart_text(law.mixture)}: loss {number(level, 2)}<br>"
                f"{format_count(size)} parameters, {format_count(budget)} tokens"
                for size, budget in points
            ]
            x, y = [size for size, _ in points], [budget for _, budget in points]
            lines.append(Line(shade_ink("level", LEVELS, place), x, y, dashed=False, texts=texts))
    ticks = [
        [(tick, format_count(tick)) for tick in axis_ticks([grid[0], *ends, grid[-1]])]
        for grid, ends in ((params, reach.params), (tokens, reach.tokens))
    ]
    axes = AxisSpec(PARAMS, log=True, ticks=ticks[0]), AxisSpec(TOKENS, log=True, ticks=ticks[1])
    marks = [*lines, fitted_box(reach, TEXT)]
    return Panel(*axes, marks, label=law.mixture, title=law.mixture)


def _levels(laws: Sequence[LawFit], reach: Reach) -> list[float]:
    """Losses from the best that is drawn to the worst, closer together where laws are flat."""
    far = {"params": reach.params[1] * BEYOND, "tokens": reach.tokens[1] * BEYOND}
    near = {"params": reach.params[0], "tokens": reach.tokens[0]}
    best = min(float(law.predict(**far)[0]) for law in laws)
    worst = float(np.median([law.predict(**near)[0] for law in laws]))
    steps = np.linspace(0, 1, LEVELS + 2)[1:-1]
    return [round(best + (worst - best) * float(s) ** 2, 2) for s in steps]


def _contour(law: LawFit, loss: float, params: Array, tokens: Array) -> list[tuple[float, float]]:
    """Places of this loss within the grids, from either side: steep parts are smooth too."""
    found = []
    for size in params:
        found.append((float(size), _reach(law, loss, "tokens", params=float(size))))
    for budget in tokens:
        found.append((_reach(law, loss, "params", tokens=float(budget)), float(budget)))
    inside = [
        (size, budget)
        for size, budget in found
        if params[0] <= size <= params[-1] and tokens[0] <= budget <= tokens[-1]
    ]
    return sorted(inside)


def _reach(law: LawFit, loss: float, variable: str, **others: float) -> float:
    return float(size_to_reach(law, law.vector[None], np.array([loss]), variable, others)[0])
