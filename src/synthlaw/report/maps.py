"""What maps over model size and tokens share."""

from __future__ import annotations

from synthlaw.report.chart import Ink, Line
from synthlaw.report.palette import Style
from synthlaw.report.situations import Reach

PARAMS, TOKENS = "non-embedding parameters", "training tokens"


def fitted_box(reach: Reach, ink: Ink) -> Line:
    """The sizes and budgets that were run, as a dotted box."""
    (left, right), (low, high) = reach.params, reach.tokens
    dotted = Ink("box:0", Style(ink.style.light, ink.style.dark, "dot"))
    corners = [left, right, right, left, left], [low, low, high, high, low]
    return Line(dotted, *corners, width=1.25, template="the runs that the laws were fitted to")
