"""A document: text with an identity, and a row of a foreign file as one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from synthlaw.corpus.readers.input_file import BadDocumentError
from synthlaw.corpus.readers.values import clean, plain_fields

LONGEST_TEXT = 1 << 28
"""Longest text in characters that is taken as a document."""


@dataclass(frozen=True)
class Document:
    """A text with its identity; `fields` holds every further column as JSON values."""

    id: str
    text: str
    fields: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """The document as one flat row, id and text first."""
        return {"id": self.id, "text": self.text, **self.fields}


def document_from_row(row: dict[str, Any], place: str) -> Document:
    """A row as a document; `place` is its identity if it has none of its own.

    Raises BadDocumentError when its text is unusable.
    """
    others = {name: value for name, value in row.items() if name not in ("id", "text")}
    return Document(_identity(row.get("id")) or clean(place), _text(row), plain_fields(others))


def _text(row: dict[str, Any]) -> str:
    text = row.get("text")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError:
            raise BadDocumentError("'text' is not UTF-8") from None
    if not isinstance(text, str):
        if "text" not in row:
            names = ", ".join(f"'{clean(str(name))[:40]}'" for name in list(row)[:10])
            raise BadDocumentError(
                f"found no 'text' but {names or 'nothing'}; expected a string column 'text'"
            )
        found = "null" if text is None else f"of type {type(text).__name__}"
        raise BadDocumentError(f"found 'text' {found}; expected a string column 'text'")
    if len(text) > LONGEST_TEXT:
        raise BadDocumentError(f"'text' is longer than {LONGEST_TEXT} characters")
    return clean(text)


def _identity(value: Any) -> str | None:
    """An identity as text; None where the value cannot be one."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8") or None
        except UnicodeDecodeError:
            return value.hex()
    if isinstance(value, str):
        return clean(value) or None
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return None
    return str(value)
