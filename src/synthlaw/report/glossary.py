"""What warning codes mean, in words for a reader who has not met them."""

from __future__ import annotations

EXPLANATIONS = {
    "at-bound": "A coefficient stopped at the edge of what the fit allows, so the runs do not "
    "determine it: read its value as 'at least' or 'at most'.",
    "close-call": "Two mixtures are so near each other that these runs do not tell them apart.",
    "empty-holdout": "No run was left to test the law on, so its error on unseen runs is unknown.",
    "extrapolation": "The question lies beyond the runs. A law's error grows with that distance in "
    "ways that no interval here includes.",
    "few-levels": "The variable takes too few values to tell an exponent and a floor apart and "
    "still have one left to check them.",
    "few-points": "The law has almost as many coefficients as there are runs: it passes near every "
    "point whatever the truth is, and its intervals are wide.",
    "floor-contains-other-term": "The constant E of a one-variable law still holds the other "
    "variable's term at the fixed size or budget. It is not the irreducible loss.",
    "inconsistent-laws": "Two laws of one mixture disagree where both can be read, so at least one "
    "of them is wrong there.",
    "influential-points": "A few runs carry the fit: without one of them a coefficient would move "
    "by more than its standard error.",
    "many-rephrasings": "The share asks for more synthetic text than one rephrasing of each "
    "natural document gives; the text would repeat itself in other words.",
    "no-degrees-of-freedom": "There are as many coefficients as runs. The curve passes through "
    "every point and nothing is left to judge it by.",
    "no-intervals": "The fit was not resampled, so nothing says how uncertain it is.",
    "not-converged": "The optimiser stopped early; a better fit may exist.",
    "other-size": "The law was fitted at another size or budget than the question's.",
    "unknown-share": "The share of synthetic text of a mixture is not recorded.",
    "weakly-identified": "The runs allow very different values of this coefficient. Compare "
    "predicted losses, not coefficients.",
}
"""Meaning by code. The codes are those of the laws room; others are shown with their message."""

UNKNOWN = "The message says what was seen."


def explain(code: str) -> str:
    """The meaning of a warning code; a general sentence for a code that this version lacks."""
    return EXPLANATIONS.get(code.replace("_", "-"), UNKNOWN)
