"""What a generated token is worth: training FLOP that it saves at equal loss."""

from __future__ import annotations

from synthlaw.common.numbers import format_count
from synthlaw.laws.answer.costs import FLOP_PER_PARAM_TOKEN
from synthlaw.laws.answer.options import Option, Situation, tokens_for_base_loss
from synthlaw.report.along import Array, along_tokens
from synthlaw.report.artifacts import Study
from synthlaw.report.chart import Chart

LEAST = 1e7
"""FLOP a token below which generation is far from paying: what a model of 5M parameters takes."""


def of_study(study: Study) -> Chart | None:
    """None without laws of the budget for two mixtures whose shares are known."""
    words = "FLOP saved per generated token"
    found = along_tokens(study, _saved, words, format_count, LEAST)
    if found is None:
        return None
    return Chart(
        [found.panel],
        found.legend,
        width=4.6,
        heading="Break-even price of generation",
        lead="Training FLOP saved for every token generated, when a mixture is trained only to "
        "natural text’s loss at that budget. Times the price of a FLOP it is the price of a "
        "generated token at which both come to the same. Without a curve nothing is saved.",
    )


def _saved(option: Option, situation: Situation) -> Array:
    needed = tokens_for_base_loss(option, situation)
    flops = FLOP_PER_PARAM_TOKEN * situation.params * (situation.tokens - needed)
    values: Array = flops / (option.share * needed)
    return values
