"""How sets and models are drawn in the figures and charts of the statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from synthlaw.report.comparison import Comparison
from synthlaw.report.palette import DASHES, FURTHER_COLOURS, NATURAL, TYPE_COLOURS


@dataclass(frozen=True)
class SetStyle:
    """How a set is drawn: colours by theme, and a dash."""

    light: str
    dark: str
    dash: str


def set_styles(names: Sequence[str], baseline: str) -> dict[str, SetStyle]:
    """A style for every set: the baseline grey, the paper's types in their own colours, others in
    those that are left; a colour that returns is dashed.
    """
    own = {name: TYPE_COLOURS[name.upper()] for name in names if name.upper() in TYPE_COLOURS}
    taken = [pair["light"] for pair in own.values()]
    free = [p for p in (*FURTHER_COLOURS, *TYPE_COLOURS.values()) if p["light"] not in taken]
    styles, further = {}, 0
    for name in names:
        dash = DASHES[0]
        if name == baseline:
            pair = NATURAL
        elif name in own:
            pair = own[name]
        else:
            pair = free[further % len(free)]
            dash = DASHES[further // len(free) % len(DASHES)]
            further += 1
        styles[name] = SetStyle(pair["light"], pair["dark"], dash)
    return styles


def group_styles(found: Comparison) -> dict[str, dict[str, SetStyle]]:
    """Styles of training sets and mixtures, of test sets, and of models, by group and name."""
    trained = set_styles(found.trained, found.facts.baseline)
    own = set_styles(found.models(), "")
    # A model that has a set's name has its colour too.
    models = {name: trained.get(name, own[name]) for name in found.models()}
    return {"set": trained, "test": set_styles(found.tests, ""), "model": models}
