"""Losses against non-embedding parameters, at each token budget."""

from __future__ import annotations

from synthlaw.report.artifacts import Study
from synthlaw.report.chart import Chart
from synthlaw.report.scaling import scaling_chart


def of_study(study: Study) -> Chart | None:
    """One panel per budget."""
    return scaling_chart(study, "params")
