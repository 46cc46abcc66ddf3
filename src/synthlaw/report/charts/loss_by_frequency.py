"""Loss against training frequency: a panel per test set, a line per model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synthlaw.report.chart import LOSS_TITLE, AxisSpec, Chart, Ink, Line, Mark, Panel
from synthlaw.report.comparison import Comparison
from synthlaw.report.plotly_charts import chart_text
from synthlaw.report.set_styles import group_inks

GROUP_NAMES = ["unseen", "<0.01", ">0.01", ">0.1", ">1", ">10", ">100", ">1k", ">10k", ">100k"]
"""Names of the groups of training frequency, rarest first."""


def of_statistics(found: Comparison) -> Chart | None:
    """Unseen tokens stand first."""
    inks = group_inks(found)["model"]
    panels = []
    x = AxisSpec("training frequency (per million tokens)", ticks=list(enumerate(GROUP_NAMES)))
    for test in dict.fromkeys(str(row["test"]) for row in found.rows("loss_by_frequency")):
        marks: list[Mark] = []
        for model, ink in inks.items():
            rows = found.rows("loss_by_frequency", test=test, model=model, grouping="frequency")
            marks += _marks(model, ink, rows)
        panels.append(Panel(x, AxisSpec(LOSS_TITLE), marks, test, title=test))
    return Chart(panels, list(inks.items()), words="Test set") if panels else None


def _marks(model: str, ink: Ink, rows: Sequence[Mapping[str, Any]]) -> list[Mark]:
    """A line over the groups; the loss's interval upright in each."""
    names = [group_name(row["per_million_low"], row["per_million_high"]) for row in rows]
    x = [GROUP_NAMES.index(name) for name in names]
    texts = [_text(model, row) for row in rows]
    marks: list[Mark] = [Line(ink, x, [row["loss"] for row in rows], size=7, texts=texts)]
    for place, row in zip(x, rows, strict=True):
        if row["loss_low"] is not None:
            ends = [row["loss_low"], row["loss_high"]]
            marks.append(Line(ink, [place, place], ends, width=3, dashed=False, opacity=0.4))
    return marks


def _text(model: str, row: Mapping[str, Any]) -> str:
    return (
        f"{chart_text(model)}<br>{row['loss']:.3f} nats per token<br>"
        f"{row['tokens']:,} tokens ({row['token_share']:.1%}), {row['loss_share']:.1%} of the loss"
    )


def group_name(low: float, high: float | None) -> str:
    """The name of a group of training frequencies per million."""
    if high == 0:
        return GROUP_NAMES[0]
    if low == 0:
        return GROUP_NAMES[1]
    names = {0.01: 2, 0.1: 3, 1.0: 4, 10.0: 5, 100.0: 6, 1000.0: 7, 10_000.0: 8, 100_000.0: 9}
    return GROUP_NAMES[min(names.items(), key=lambda item: abs(item[0] / low - 1))[1]]
