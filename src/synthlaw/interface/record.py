"""JSON documents that show themselves as the command line prints them."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

Lines = Callable[[dict[str, Any]], Sequence[str]]


class Record(dict[str, Any]):
    """What a command prints with --json; printed, the lines that it prints without."""

    def __init__(self, value: dict[str, Any], lines: Lines) -> None:
        super().__init__(value)
        self._lines = lines

    def __str__(self) -> str:
        return "\n".join(self._lines(self))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"
