"""Losses along one document and their rolling mean, a panel per model: the paper's figure 10."""

from __future__ import annotations

from synthlaw.report.chart import TEXT, AxisSpec, Chart, Line, Mark, Panel
from synthlaw.report.comparison import Comparison
from synthlaw.report.set_styles import group_inks

X_TITLE = "position in the document (thick: mean of the last 100 tokens)"


def of_statistics(found: Comparison) -> Chart | None:
    """Of the first test set, the first four models."""
    tests = list(dict.fromkeys(str(row["test"]) for row in found.rows("loss_curve")))
    if not tests:
        return None
    inks = group_inks(found)["model"]
    panels = []
    for model in found.models()[:4]:
        rows = found.rows("loss_curve", model=model, test=tests[0])
        x = [row["position"] for row in rows]
        marks: list[Mark] = [
            Line(inks[model], x, [r["loss"] for r in rows], 0.6, dashed=False, opacity=0.6),
            Line(TEXT, x, [row["rolling"] for row in rows]),
        ]
        title = f"{model} on {tests[0]}"
        panels.append(Panel(AxisSpec(X_TITLE), AxisSpec("nats"), marks, model, title=title))
    return Chart(panels, width=6.8, height=1.5, stacked=True, on_page=False)
