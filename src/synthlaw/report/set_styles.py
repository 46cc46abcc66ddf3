"""How sets and models are drawn in the figures and charts of the statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from synthlaw.report.chart import Ink
from synthlaw.report.comparison import Comparison
from synthlaw.report.palette import (
    ALSO_CALLED,
    DASHES,
    FURTHER_COLOURS,
    NATURAL,
    TYPE_COLOURS,
    Style,
)

MIXTURE_ENDING = " (mixture)"
"""Follows a mixture's name among sets where a source has the same name."""


def set_styles(
    names: Sequence[str], baseline: str, known: Mapping[str, Style] | None = None
) -> dict[str, Style]:
    """A style for every set.

    known: styles that are given, the study's own of its mixtures. Else the baseline is grey, a
    source named after one of the paper's types has that type's colour, and others take those that
    are left; a colour that returns is dashed.
    """
    styles = {name: style for name in names if (style := _own(name, baseline, known or {}))}
    taken = {style.light for style in styles.values()}
    free = [pair for pair in FURTHER_COLOURS if pair["light"] not in taken] or list(FURTHER_COLOURS)
    others = [name for name in names if name not in styles]
    for place, name in enumerate(others):
        pair, round_ = free[place % len(free)], place // len(free)
        styles[name] = Style(pair["light"], pair["dark"], DASHES[round_ % len(DASHES)])
    return {name: styles[name] for name in names}


def _own(name: str, baseline: str, known: Mapping[str, Style]) -> Style | None:
    """The style that a set has by what it is, if it has one."""
    if name.removesuffix(MIXTURE_ENDING) in known:
        return known[name.removesuffix(MIXTURE_ENDING)]
    if name == baseline:
        return Style(NATURAL["light"], NATURAL["dark"], DASHES[0])
    kind = ALSO_CALLED.get(name.upper(), name.upper())
    if kind in TYPE_COLOURS:
        return Style(TYPE_COLOURS[kind]["light"], TYPE_COLOURS[kind]["dark"], DASHES[0])
    return None


def group_styles(found: Comparison) -> dict[str, dict[str, Style]]:
    """Styles of training sets and mixtures, of test sets, and of models, by group and name."""
    trained = set_styles(found.trained, found.facts.baseline, found.known)
    own = set_styles(found.models(), "", found.known)
    # A model that has a set's name has its colour too.
    models = {name: trained.get(name, own[name]) for name in found.models()}
    return {"set": trained, "test": set_styles(found.tests, ""), "model": models}


def group_inks(found: Comparison) -> dict[str, dict[str, Ink]]:
    """The same as colours of charts."""
    return {
        group: {name: Ink(f"{group}:{n}", style) for n, (name, style) in enumerate(styles.items())}
        for group, styles in group_styles(found).items()
    }
