"""The constants E of the laws with their intervals; the page has them in a table."""

from __future__ import annotations

from synthlaw.report.artifacts import Study
from synthlaw.report.chart import AxisSpec, Chart, Ink, Line, Mark, Panel
from synthlaw.report.curves import floor_determined, floors
from synthlaw.report.palette import mixture_kinds, mixture_styles


def of_study(study: Study) -> Chart | None:
    """A row per mixture, the lowest on top; those that the runs leave open at the bottom."""
    kind, laws = floors(study)
    if not laws:
        return None
    styles = mixture_styles(mixture_kinds(study))
    ordered = sorted(
        laws,
        key=lambda law: (not floor_determined(law), law.coefficients["E"] or 0.0),
        reverse=True,
    )
    marks: list[Mark] = []
    for row, law in enumerate(ordered):
        ink = Ink(f"floor:{row}", styles[law.mixture])
        low, high = law.intervals.get("E") or (None, None)
        if low is not None and high is not None:
            marks.append(Line(ink, [low, high], [row, row], width=3, dashed=False, opacity=0.55))
        floor = law.coefficients["E"]
        if floor is not None:
            marks.append(Line(ink, [floor], [row], width=0, size=9))
    words = "irreducible loss E" if kind == "joint" else f"constant E of the {kind} law"
    names = [
        (row, law.mixture if floor_determined(law) else f"{law.mixture} (open)")
        for row, law in enumerate(ordered)
    ]
    y = AxisSpec("", ticks=names, range=(-0.6, len(ordered) - 0.4))
    panel = Panel(AxisSpec(f"{words} (nats per token)"), y, marks)
    return Chart([panel], width=4.2, height=0.8 + 0.32 * len(ordered), on_page=False)
