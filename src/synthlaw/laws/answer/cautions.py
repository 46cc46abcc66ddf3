"""What a reader must know of an answer: distance, close calls, supply, costs, the laws' own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synthlaw.common.numbers import format_count
from synthlaw.laws.answer.options import Option, Situation
from synthlaw.laws.answer.supply import epochs
from synthlaw.laws.answer.wording import money
from synthlaw.laws.lawfit import Caution, LawFit

FAR = 2.0
"""Extrapolating a size by more than this factor is a warning."""

MUCH = 0.02
"""Relative error of a loss that a reader must be told of."""

SURE = 0.9
"""A best option less probable than this is a close call."""


def cautions_of(
    options: Sequence[Option],
    chance: float | None,
    equal_loss: dict[str, Any] | None,
    situation: Situation,
) -> list[Caution]:
    """Every warning of an answer, most serious first.

    options: by expected loss, at least one. chance: of the first to be the best. equal_loss: its
    account.
    """
    best = options[0]
    found = _extrapolation(best, situation)
    for option in options:
        base = option.baseline.predictor.cautions if option.baseline else []
        found += [*option.predictor.cautions, *base]
    if chance is not None and chance < SURE:
        found.append(
            Caution(
                "close-call",
                f"'{best.predictor.name}' is the best with probability {chance:.2f}; the options "
                "below it may be as good",
            )
        )
    if all(len(option.losses) < 2 for option in options):
        found.append(
            Caution(
                "no-intervals",
                "the laws carry no replicates: fit with --bootstrap and --out for intervals",
            )
        )
    found += _supply(best, situation)
    net = None if equal_loss is None else equal_loss.get("net_money_saved")
    if net is not None and net <= 0:
        found.append(
            Caution(
                "generation-costs-more",
                f"at equal loss '{best.predictor.name}' costs {money(-net)} more to generate than "
                "its shorter training saves",
            )
        )
    return list({(caution.code, caution.message): caution for caution in found}.values())


def _extrapolation(option: Option, situation: Situation) -> list[Caution]:
    return doubts_of(option.predictor.law, {"params": situation.params, "tokens": situation.tokens})


def doubts_of(law: LawFit, at: Mapping[str, float]) -> list[Caution]:
    """Warnings that the distance from the runs, or the law's own width, calls for at a size."""
    found = []
    for name, value in at.items():
        factor = law.extrapolation(**{name: value}).get(name, 1.0)
        if factor > FAR and name in law.ranges and law.reads(name):
            low, high = law.ranges[name]
            found.append(
                Caution(
                    "extrapolation",
                    f"{name} {format_count(value)} lies a factor {factor:.1f} outside the runs "
                    f"({format_count(low)} to {format_count(high)})",
                )
            )
    expected = law.error_beyond(at)
    if not found and expected > MUCH:
        found.append(
            Caution(
                "extrapolation",
                f"the question lies beyond the runs (compute by a factor "
                f"{law.compute_beyond(at):.1f}); errors of smaller fits at such a distance make "
                f"{expected:.1%} likely",
            )
        )
    return [*found, *_wide(law, at)]


def _wide(law: LawFit, at: Mapping[str, float]) -> list[Caution]:
    """The runs do not tell the loss to MUCH."""
    if not set(law.form.inputs) <= {"params", "tokens"} <= set(at) or law.replicates is None:
        return []
    found = law.prediction(params=at["params"], tokens=at["tokens"])
    low, high = found["run_interval"]
    width = (high - low) / 2 / found["loss"]
    if not width > MUCH:
        return []
    return [
        Caution(
            "wide-interval",
            f"the loss of '{law.mixture}' is known to about {width:.0%} only "
            f"({low:.4g} to {high:.4g} at {law.level:.0%})",
        )
    ]


def _supply(option: Option, situation: Situation) -> list[Caution]:
    natural = situation.natural_tokens
    if natural is None:
        return []
    found = []
    seen = epochs(situation.tokens, option.share, natural) or 0.0
    if seen > 1:
        found.append(
            Caution(
                "repetition",
                f"natural tokens are seen {seen:.1f} times; their worth uses R_D* = "
                f"{situation.decay:.4g}, which the published runs hardly determine",
            )
        )
    if option.share * situation.tokens > natural:
        rounds = option.share * situation.tokens / natural
        found.append(
            Caution(
                "many-rephrasings",
                f"{rounds:.1f} synthetic tokens per natural token are needed; no run tested so "
                "many versions of one text",
            )
        )
    return found
