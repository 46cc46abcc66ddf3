"""Training frequencies of a test set's tokens, in the order of their test frequency."""

from __future__ import annotations

from synthlaw.report.chart import TEXT, AxisSpec, Chart, Line, Mark, Panel
from synthlaw.report.comparison import Comparison
from synthlaw.report.set_styles import group_inks


def of_statistics(found: Comparison) -> Chart | None:
    """A panel per test set."""
    inks = group_inks(found)["set"]
    panels = []
    for test in [test for test in found.tests if found.rows("frequencies", test=test)][:4]:
        marks: list[Mark] = []
        for name, ink in inks.items():
            rows = found.rows("frequencies", test=test, training=name)
            own = [row["training_per_million"] or None for row in rows]
            marks.append(Line(ink, [row["rank"] for row in rows], own, width=1.7))
        rows = found.rows("frequencies", test=test, training=found.trained[0])
        x, y = [row["rank"] for row in rows], [row["test_per_million"] for row in rows]
        marks.append(Line(TEXT, x, y, width=2.6, opacity=0.5))
        axes = AxisSpec("rank in the test set", True), AxisSpec("tokens per million", True)
        panels.append(Panel(*axes, marks, test, title=test))
    if not panels:
        return None
    return Chart(panels, [*inks.items(), ("the test set itself", TEXT)], on_page=False)
