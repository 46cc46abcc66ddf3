"""The study file as validated data. Every key is checked; unknown keys are errors."""

from synthlaw.study.spec.grids import NATURAL
from synthlaw.study.spec.study import Study
from synthlaw.study.spec.text import TextSource

__all__ = ["NATURAL", "Study", "TextSource"]
