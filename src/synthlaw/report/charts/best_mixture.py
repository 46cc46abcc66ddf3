"""Which mixture has the lowest expected loss at each size and budget, and how surely."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.numbers import format_count
from synthlaw.laws.lawfit import LawFit
from synthlaw.report.artifacts import Study
from synthlaw.report.chart import TEXT, AxisSpec, Chart, Ink, Line, Mark, Panel
from synthlaw.report.curves import axis_ticks, replicates_along
from synthlaw.report.maps import PARAMS, TOKENS, fitted_box
from synthlaw.report.numerals import percent
from synthlaw.report.palette import mixture_kinds, mixture_styles
from synthlaw.report.plotly_charts import chart_text
from synthlaw.report.situations import joint_laws, reach_of

Array = NDArray[np.float64]

CELLS = 15
BEYOND = 30.0
SURE = 0.9
"""Probability from which on a place's mark is large."""

LARGE, SMALL = 14.0, 6.0


def of_study(study: Study) -> Chart | None:
    """None without laws of both sizes for two mixtures."""
    laws = joint_laws(study)
    reach = reach_of(laws)
    if reach is None or len(laws) < 2:
        return None
    params = np.geomspace(reach.params[0], reach.params[1] * BEYOND, CELLS)
    tokens = np.geomspace(reach.tokens[0], reach.tokens[1] * BEYOND, CELLS)
    sizes, budgets = (axis.ravel() for axis in np.meshgrid(params, tokens, indexing="ij"))
    places: dict[tuple[str, bool], list[tuple[float, float, str]]] = {}
    for size, budget, (name, chance) in zip(
        sizes, budgets, _best(laws, sizes, budgets), strict=True
    ):
        sure = chance is not None and chance >= SURE
        words = f" the best with probability {percent(chance)}" if chance is not None else ""
        text = (
            f"{chart_text(name)}{words}<br>{format_count(size)} parameters, "
            f"{format_count(budget)} tokens"
        )
        places.setdefault((name, sure), []).append((float(size), float(budget), text))
    kinds = mixture_kinds(study)
    styles = mixture_styles(kinds)
    inks = {name: Ink(f"line:{n}", styles[name]) for n, name in enumerate(kinds)}
    marks: list[Mark] = [
        Line(
            inks[name],
            [size for size, _, _ in rows],
            [budget for _, budget, _ in rows],
            width=0,
            size=LARGE if sure else SMALL,
            texts=[text for _, _, text in rows],
            mixture=list(kinds).index(name),
        )
        for (name, sure), rows in places.items()
    ]
    ticks = [
        [(tick, format_count(tick)) for tick in axis_ticks([grid[0], *ends, grid[-1]])]
        for grid, ends in ((params, reach.params), (tokens, reach.tokens))
    ]
    axes = AxisSpec(PARAMS, log=True, ticks=ticks[0]), AxisSpec(TOKENS, log=True, ticks=ticks[1])
    legend = [(name, inks[name]) for name in kinds if any(name == n for n, _ in places)]
    return Chart(
        [Panel(*axes, [*marks, fitted_box(reach, TEXT)])],
        legend,
        width=4.6,
        height=3.8,
        heading="Which mixture is best where",
        lead="The mixture of lowest expected loss at each size and budget. A large mark is the "
        "best with probability 90% or more, a small one less surely. The dotted box is what was "
        "run.",
    )


def _best(laws: Sequence[LawFit], params: Array, tokens: Array) -> list[tuple[str, float | None]]:
    """At each place the mixture of lowest expected loss and its probability of being so."""
    inputs = {"params": params, "tokens": tokens}
    own = np.stack([law.predict(**inputs) for law in laws])
    first = np.argmin(own, axis=0)
    names = [laws[i].mixture for i in first]
    if any(law.replicates is None for law in laws):
        return [(name, None) for name in names]
    tables = [replicates_along(law, inputs) for law in laws]
    rows = min(len(table) for table in tables)
    winner = np.argmin(np.stack([table[:rows] for table in tables]), axis=0)
    chances = (winner == first).mean(axis=0)
    return [(name, float(chance)) for name, chance in zip(names, chances, strict=True)]
