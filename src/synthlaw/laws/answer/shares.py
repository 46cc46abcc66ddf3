"""The best share of each synthetic type at the question, from its ratio law."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from synthlaw.laws.answer.comparison import spread
from synthlaw.laws.answer.options import Option, Situation, probabilities_best
from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.shares import curve, movement

CURVE_POINTS = 41

CLOSE = 0.05
"""A law that was taken so near to the question's size counts as taken there."""

FEWEST_SHARES = 3
"""Positive shares of a type from which on a study fits its ratio law."""


def share_rows(options: Sequence[Option], situation: Situation) -> list[dict[str, Any]]:
    """A row per type, the lowest expected loss first; those taken at other sizes come last.

    options: each ratio law at its best share, see `ratio_options`. A row tells the probability of
    the lowest loss of all types at their best shares and of natural text, where its law reads the
    question's sizes or was taken there; the best share among those tried with its interval, over
    every form that held-out error cannot tell from the chosen one; the shares as good; the loss
    there and its difference to natural text; how the best share moves over the runs' sizes; where
    the law was taken, if its runs have one size; the curve.
    """
    ranked = sorted(options, key=lambda option: float(option.losses[0]))
    here = [option for option in ranked if _is_here(option.predictor.law, situation)]
    away = [option for option in ranked if not _is_here(option.predictor.law, situation)]
    chances = probabilities_best(here)[0] if here else []
    rows = [_row(option, chance, situation) for option, chance in zip(here, chances, strict=True)]
    return rows + [_row(option, None, situation) for option in away]


def _is_here(law: LawFit, situation: Situation) -> bool:
    """Whether a law speaks of the question's sizes."""
    asked = {"params": situation.params, "tokens": situation.tokens}
    return all(abs(value / asked[name] - 1) <= CLOSE for name, value in held_sizes(law).items())


def _row(option: Option, chance: float | None, situation: Situation) -> dict[str, Any]:
    law, base = option.predictor.law, option.baseline
    gap = None if base is None else option.losses - base.losses
    low, high = law.ranges["ratio"]
    share = option.share
    return {
        "synthetic_type": option.predictor.synthetic_type,
        "best_ratio": share,
        "interval": option.ratio_interval,
        "as_good": option.as_good,
        "tried": [low, high],
        "at_edge": bool(share <= low + 1e-9 or share >= high - 1e-9),
        "loss": float(option.losses[0]),
        "loss_interval": spread(law, option.losses),
        "difference": None if gap is None else float(gap[0]),
        "difference_interval": None if gap is None else spread(law, gap),
        "probability_best": chance,
        "form": law.form.name,
        "at": held_sizes(law),
        "movement": [
            movement(law, name, **_others(law, name, situation))
            for name in ("params", "tokens")
            if law.reads(name)
        ],
        "curve": _curve(law, situation),
    }


def held_sizes(law: LawFit) -> dict[str, float]:
    """Sizes that all runs of a law have, in plain counts."""
    return {
        name: law.at[name] * law.unit.get(name, 1.0)
        for name in ("params", "tokens")
        if name in law.at and not law.reads(name)
    }


def _others(law: LawFit, variable: str, situation: Situation) -> dict[str, float]:
    asked = {"params": situation.params, "tokens": situation.tokens}
    return {n: value for n, value in asked.items() if n != variable and law.reads(n)}


def _curve(law: LawFit, situation: Situation) -> dict[str, list[float]]:
    shares = np.linspace(*law.ranges["ratio"], CURVE_POINTS)
    found = curve(law, shares, params=situation.params, tokens=situation.tokens)
    return {name: [float(value) for value in values] for name, values in found.items()}
