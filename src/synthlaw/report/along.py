"""Quantities of every mixture against the training budget, at the question's model size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import format_count
from synthlaw.laws.answer.comparison import spread
from synthlaw.laws.answer.options import Option, Situation
from synthlaw.report.artifacts import Study
from synthlaw.report.chart import AxisSpec, Band, Ink, Line, Mark, Panel
from synthlaw.report.curves import FAR, axis_ticks, round_ticks
from synthlaw.report.palette import mixture_kinds, mixture_styles
from synthlaw.report.plotly_charts import chart_text
from synthlaw.report.scaling import AXIS_TITLES
from synthlaw.report.situations import laws_at, options_at, question_of, reach_of

Array = NDArray[np.float64]
POINTS = 24

Quantity = Callable[[Option, Situation], Array]
"""Of an option at a question: [1 + replicates]; not finite where there is none."""


@dataclass(frozen=True)
class Along:
    """A panel and the mixtures that it shows."""

    panel: Panel
    legend: Sequence[tuple[str, Ink]]
    params: float


def along_tokens(
    study: Study, quantity: Quantity, title: str, words: Callable[[float], str], least: float
) -> Along | None:
    """`quantity` of every mixture with its band; None where no mixture has it.

    words: how a value is written. least: a logarithmic axis has no place for less, so curves end
    and bands are cut there.
    """
    question = question_of(study)
    laws = (
        [law for law in laws_at(study, question.params) if law.law != "ratio"] if question else []
    )
    reach = reach_of(laws)
    if question is None or reach is None:
        return None
    far = max(reach.tokens[1] * FAR["tokens"], question.tokens)
    grid = [float(x) for x in np.geomspace(reach.tokens[0], far, POINTS)]
    found = [options_at(study, question.params, tokens) for tokens in grid]
    if not all(found):
        return None
    kinds = mixture_kinds(study)
    styles = mixture_styles(kinds)
    inks = {name: Ink(f"line:{n}", styles[name]) for n, name in enumerate(kinds)}
    marks: list[Mark] = []
    legend = []
    low, high = np.inf, 0.0
    for place, option in enumerate(found[0]):
        name = option.predictor.name
        own = _values(
            [
                (row[place], Situation(question.params, x))
                for row, x in zip(found, grid, strict=True)
            ],
            quantity,
            least,
        )
        if len(own) < 2:
            continue
        legend.append((name, inks[name]))
        ends = [end for _, value, pair in own for end in (value, *(pair or ()))]
        low, high = min([low, *ends]), max([high, *ends])
        marks += _marks(own, name, inks[name], list(kinds).index(name), words=words)
    if not marks:
        return None
    ticks = [(t, format_count(t)) for t in axis_ticks([grid[0], reach.tokens[1], grid[-1]])]
    x = AxisSpec(AXIS_TITLES["tokens"], log=True, ticks=ticks)
    y = AxisSpec(title, log=True, ticks=[(t, words(t)) for t in round_ticks(low, high)])
    head = f"{format_count(question.params)} parameters"
    panel = Panel(x, y, marks, title=head, asked=question.tokens, fitted=reach.tokens[1])
    return Along(panel, legend, question.params)


Row = tuple[float, float, tuple[float, float] | None]


def _values(
    options: Sequence[tuple[Option, Situation]], quantity: Quantity, least: float
) -> list[Row]:
    """(tokens, value, interval) wherever the quantity is finite and above `least`."""
    rows: list[Row] = []
    for option, situation in options:
        try:
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                values = quantity(option, situation)
        except UsageError:  # a form of one's own, which is no power of the tokens
            return []
        if not (np.isfinite(values[0]) and values[0] > least):
            continue
        values[values < least] = least
        pair = spread(option.predictor.law, values)
        ends = None if pair is None or None in pair else (float(pair[0] or 0), float(pair[1] or 0))
        rows.append((situation.tokens, float(values[0]), ends))
    return rows


def _marks(
    rows: Sequence[Row], name: str, ink: Ink, index: int, *, words: Callable[[float], str]
) -> list[Mark]:
    bounded = [(x, ends) for x, _, ends in rows if ends is not None]
    marks: list[Mark] = []
    if len(bounded) > 1:
        lows, highs = zip(*(ends for _, ends in bounded), strict=True)
        marks.append(Band(ink, [x for x, _ in bounded], lows, highs, index))
    texts = [
        f"{chart_text(name)}, {format_count(x)} tokens<br>{words(value)}"
        + (f" ({words(ends[0])} to {words(ends[1])})" if ends else "")
        for x, value, ends in rows
    ]
    line = Line(ink, [r[0] for r in rows], [r[1] for r in rows], texts=texts, mixture=index)
    return [*marks, line]
