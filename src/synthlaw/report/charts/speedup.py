"""Equal-loss speed-up of every mixture over natural text against the training budget."""

from __future__ import annotations

from synthlaw.laws.answer.options import Option, Situation, tokens_for_base_loss
from synthlaw.report.along import Array, along_tokens
from synthlaw.report.artifacts import Study
from synthlaw.report.chart import Chart

LEAST = 0.05
"""Slower than this is as good as never, and would flatten the curves that matter."""


def of_study(study: Study) -> Chart | None:
    """None without laws of the budget for two mixtures."""
    found = along_tokens(study, _speedup, "equal-loss speed-up", _factor, LEAST)
    if found is None:
        return None
    return Chart(
        [found.panel],
        found.legend,
        width=4.6,
        heading="Speed-up against the budget",
        lead="Budget over the tokens with which a mixture reaches natural text’s loss at that "
        "budget: above 1 it is faster; curves end below 0.05. Beyond the dotted line at the "
        "largest run it is extrapolation, and the shade is widened for it.",
    )


def _speedup(option: Option, situation: Situation) -> Array:
    values: Array = situation.tokens / tokens_for_base_loss(option, situation)
    return values


def _factor(value: float) -> str:
    return f"{value:.3g}×"
