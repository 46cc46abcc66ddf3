"""What warning codes mean, in words for a reader who has not met them."""

from __future__ import annotations

EXPLANATIONS = {
    "at_bound": "A coefficient stopped at the edge of what the fit allows, so the data do not "
    "determine it; read its value as 'at least' or 'at most'.",
    "few_points": "The law has almost as many coefficients as there are runs. It passes near every "
    "point whatever the truth is; its predictions carry little evidence.",
    "narrow_range": "The runs span little of the variable, so exponent and floor trade off against "
    "each other and neither is well known.",
    "extrapolation": "The question lies beyond the runs. Errors of a law grow with that distance "
    "in ways that no interval here includes.",
    "wide_interval": "The runs allow very different values of this quantity.",
    "weak_floor": "The floor E is hardly determined by these runs; compare predicted "
    "losses instead.",
    "repeated_source": "A source was read more than once. Repetition lowers what a token teaches, "
    "and its effect is mixed into the comparison.",
    "diverged_runs": "Training failed for some runs; they are not in any fit.",
    "one_seed": "Each point was trained once, so noise between seeds is not in the intervals.",
    "baseline_missing": "There is no fit of the natural-only mixture, so nothing to compare with.",
}

UNKNOWN = "The message says what was seen."


def explain(code: str) -> str:
    """The meaning of a warning code; a general sentence for a code that this version lacks."""
    return EXPLANATIONS.get(code.replace("-", "_"), UNKNOWN)
