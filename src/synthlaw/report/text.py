"""Text of a study as a page, a figure and a terminal can hold it."""

from __future__ import annotations

import re

# C0 and C1 controls but tab and newline: invalid in XML and able to drive a terminal.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def clean_text(text: str) -> str:
    """`text` as a page, a figure and a terminal can hold it: no controls, no lone surrogates."""
    whole = text.encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n")
    return _CONTROLS.sub("\ufffd", whole)
