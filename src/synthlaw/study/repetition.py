"""How often a run reads a source: in the run that is asked about, and in the ladder.

A target that reads its natural text four times is not answered by runs that read it once: what is
repeated is worth less, and the best share with it (arXiv 2606.07597). `ladder.unique_tokens:
matched` cuts each source, for every run, to the part that makes it repeat as often as the target.
"""

from __future__ import annotations

from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import format_count
from synthlaw.study.mixing import mean_shares, windows_needed
from synthlaw.study.spec import Study
from synthlaw.study.spec.ladder import MATCHED

TOLERATED = 1.1
"""Repetitions whose ratio is below are alike."""


def target_epochs(study: Study, mixture: str) -> dict[str, float]:
    """Times that the run asked about reads each source of a mixture, 1 where the supply suffices.

    Only sources of `question.supply` are known; the run has the mixture's mean shares.
    """
    tokens = study.question.tokens or max(study.budgets)
    shares = mean_shares(study, mixture)
    return {
        source: max(1.0, shares[source] * tokens / supply)
        for source, supply in study.question.supply.items()
        if shares.get(source, 0) > 0
    }


def unique_tokens(study: Study, mixture: str, windows: int) -> dict[str, float]:
    """Tokens of each source that a run of `windows` windows reads at all, where they are limited.

    Raises UsageError when ladder.max_epochs does not allow the target's repetition.
    """
    asked = study.ladder.unique_tokens
    if asked == MATCHED:
        return _matched(study, mixture, windows)
    assert not isinstance(asked, str), "checked by the study's file"
    read = study.sources_of(mixture)
    return {source: tokens for source, tokens in asked.items() if source in read}


def _matched(study: Study, mixture: str, windows: int) -> dict[str, float]:
    counts, context = windows_needed(study, mixture, windows), study.training.context
    found = {}
    for source, epochs in target_epochs(study, mixture).items():
        if epochs > study.ladder.max_epochs:
            raise UsageError(
                f"ladder.max_epochs: found {study.ladder.max_epochs:g}; expected {epochs:.3g} or "
                f"more, since ladder.unique_tokens is 'matched' and {mixture} reads {source} so "
                "often in the run asked about"
            )
        if epochs > 1 and counts.get(source, 0):
            # Whole windows, and never so few that the source would be read too often.
            least = -(-counts[source] // study.ladder.max_epochs)
            found[source] = context * max(1.0, least, round(counts[source] / epochs))
    return found


def repetition_warnings(study: Study) -> list[str]:
    """Sentences on sources that the run asked about repeats and the ladder does not, or reverse."""
    worst: dict[str, tuple[float, str, float]] = {}
    largest = max(study.budgets)
    windows = study.steps(largest) * study.training.batch_tokens // study.training.context
    for mixture in study.mixtures:
        read, unique = (
            windows_needed(study, mixture, windows),
            unique_tokens(study, mixture, windows),
        )
        for source, there in target_epochs(study, mixture).items():
            here = read[source] * study.training.context / unique.get(source, float("inf"))
            here = max(1.0, here)
            apart = max(there / here, here / there)
            if apart > TOLERATED and apart > worst.get(source, (0.0,))[0]:
                worst[source] = (apart, mixture, here)
    return [_sentence(study, source, *found[1:]) for source, found in worst.items()]


def _sentence(study: Study, source: str, mixture: str, here: float) -> str:
    tokens = study.question.tokens or max(study.budgets)
    there = target_epochs(study, mixture)[source]
    return (
        f"question: at {format_count(tokens)} tokens {mixture} reads {source} {_times(there)} "
        f"({format_count(study.question.supply[source])} at hand), and the ladder's largest runs "
        f"read it {_times(here)}: repetition moves the best share (arXiv 2606.07597); "
        f"ladder.unique_tokens: matched, with ladder.max_epochs: {there:.3g} or more, makes them "
        "alike"
    )


def _times(epochs: float) -> str:
    return "once" if epochs == 1 else f"{epochs:.3g} times"
