"""Different tokens against tokens of the training sets, drawn one by one and by whole documents."""

from __future__ import annotations

from synthlaw.report.chart import AxisSpec, Chart, Line, Mark, Panel
from synthlaw.report.comparison import Comparison
from synthlaw.report.set_styles import group_inks

X_TITLE = "tokens (dots: whole documents; dotted line: the common size)"


def of_statistics(found: Comparison) -> Chart | None:
    """One panel."""
    if not found.rows("growth"):
        return None
    inks = {name: group_inks(found)["set"][name] for name in found.facts.training}
    marks: list[Mark] = []
    for name, ink in inks.items():
        for unit, width, size in (("tokens", 2.1, 0), ("documents", 0, 3)):
            rows = found.rows("growth", set=name, role="training", drawn=unit)
            x, y = [row["tokens"] for row in rows], [row["types"] for row in rows]
            marks.append(Line(ink, x, y, width=width, size=size))
    size = found.facts.training_tokens
    panel = Panel(AxisSpec(X_TITLE, True), AxisSpec("different tokens", True), marks, asked=size)
    return Chart([panel], list(inks.items()), width=4.8, on_page=False)
