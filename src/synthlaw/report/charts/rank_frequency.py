"""Tokens per million against rank with the Zipf-Mandelbrot law: training sets, test sets."""

from __future__ import annotations

from synthlaw.common.numbers import format_count
from synthlaw.report.chart import AxisSpec, Chart, Line, Mark, Panel
from synthlaw.report.comparison import Comparison
from synthlaw.report.plotly_charts import chart_text
from synthlaw.report.set_styles import group_inks

TICKS = [(10.0**power, format_count(10.0**power)) for power in range(6)]


def of_statistics(found: Comparison) -> Chart | None:
    """A panel of training sets and mixtures, and one of test sets."""
    panels, legend = [], []
    inks = group_inks(found)
    for label, group, roles in (
        ("Training sets", "set", {"training", "mixture"}),
        ("Test sets", "test", {"test"}),
    ):
        marks: list[Mark] = []
        for name, ink in inks[group].items():
            rows = [row for row in found.rows("ranks", set=name) if row["role"] in roles]
            ranks = [row["rank"] for row in rows]
            law = [row["law_per_million"] for row in rows]
            marks.append(Line(ink, ranks, law, width=0.75, dashed=False))
            template = f"{chart_text(name)}<br>rank %{{x}}: %{{y:.3s}} per million"
            marks.append(Line(ink, ranks, [r["per_million"] for r in rows], template=template))
        if marks:
            axes = [AxisSpec(title, True, TICKS) for title in ("rank", "tokens per million")]
            panels.append(Panel(axes[0], axes[1], marks, label, title=label.lower()))
            ending = " (test)" if group == "test" else ""
            legend += [(name + ending, ink) for name, ink in inks[group].items()]
    return Chart(panels, legend, words="Sets", width=4.2) if panels else None
