"""How far off a law was on runs that it had not seen, against their distance beyond its runs."""

from __future__ import annotations

from synthlaw.report.artifacts import Law, Study
from synthlaw.report.chart import AxisSpec, Chart, Ink, Line, Panel
from synthlaw.report.curves import axis_ticks
from synthlaw.report.numerals import percent
from synthlaw.report.palette import mixture_kinds, mixture_styles
from synthlaw.report.plotly_charts import chart_text


def of_study(study: Study) -> Chart | None:
    """None where no law was tested on runs beyond those that it was fitted to."""
    kinds = mixture_kinds(study)
    styles = mixture_styles(kinds)
    inks = {name: Ink(f"line:{n}", styles[name]) for n, name in enumerate(kinds)}
    marks: list[Line] = []
    legend = []
    for name, ink in inks.items():
        rows = [row for law in study.laws if law.mixture == name for row in _errors(law)]
        if rows:
            legend.append((name, ink))
            texts = [f"{chart_text(name)}, {text}" for _, _, text in rows]
            x, y = [row[0] for row in rows], [100 * row[1] for row in rows]
            number = list(inks).index(name)
            marks.append(Line(ink, x, y, width=0, size=7, texts=texts, mixture=number))
    if not marks:
        return None
    ticks = [(t, f"{t:.3g}×") for t in axis_ticks([x for mark in marks for x in mark.x])]
    x_axis = AxisSpec("distance beyond the fitted runs, as a factor", log=True, ticks=ticks)
    panel = Panel(x_axis, AxisSpec("error of the predicted loss (%)"), marks)
    return Chart(
        [panel],
        legend,
        width=4.6,
        heading="Error beyond the runs",
        lead="Predicted minus observed loss of runs held out of a fit, in percent of the observed, "
        "against how far beyond the fitted runs they lie.",
    )


def _errors(law: Law) -> list[tuple[float, float, str]]:
    """(factor beyond the fitted runs, signed relative error, words) of each held-out run."""
    found = []
    for row in law.holdout.rows if law.holdout else ():
        error = row.get("error")
        factors = [
            max(value / high, low / value)
            for name, (low, high) in law.ranges.items()
            if isinstance(value := row.get(name), int | float) and value > 0 and low > 0
        ]
        if isinstance(error, int | float) and factors and max(factors) > 1:
            factor = max(factors)
            words = f"{law.law} law<br>{percent(abs(error), 2)} off at {factor:.3g} times"
            found.append((factor, float(error), words))
    return found
