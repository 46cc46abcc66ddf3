"""Values of foreign metadata as plain JSON values, whatever they were."""

from __future__ import annotations

import base64
import json
from typing import Any

DEEPEST = 64
"""Levels of nesting that a field may have; a deeper one is not kept."""

_SCALARS = frozenset((int, float, bool, type(None)))


class _TooDeepError(Exception):
    """A value nested deeper than DEEPEST."""


def clean(text: str) -> str:
    """The text without lone surrogates, which JSON escapes can bring and no UTF-8 file can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def plain_fields(fields: dict[Any, Any]) -> dict[str, Any]:
    """Fields as JSON values: what JSON has no form for (a date, bytes) becomes text.

    A field that is nested too deeply becomes None.
    """
    found: dict[str, Any] = {}
    for name, value in fields.items():
        try:
            found[clean(str(name))] = _plain(value, 0)
        except (_TooDeepError, RecursionError):
            found[clean(str(name))] = None
    return found


def _plain(value: Any, depth: int) -> Any:  # noqa: PLR0911  one return for each kind
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is str:
        return clean(value)
    if depth > DEEPEST:
        raise _TooDeepError
    if isinstance(value, dict):
        return {clean(str(key)): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        if _SCALARS.issuperset(map(type, value)):
            return list(value)
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, str | int | float):  # of a subclass
        return clean(str(value)) if isinstance(value, str) else value
    return clean(value.isoformat() if hasattr(value, "isoformat") else str(value))


def json_text(value: Any) -> str:
    """A plain value as JSON text; NaN and infinities, for which JSON has no form, become null."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value
