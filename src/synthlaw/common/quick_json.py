"""JSON for what is written and read thousands of times a second, by orjson where it can.

orjson refuses what the standard library takes: half a surrogate pair, integers beyond 64 bits,
NaN. Then the standard library does it, so nothing more is refused. Of what is read, an integer
beyond 64 bits is a float.
"""

from __future__ import annotations

import json
from typing import Any

import orjson


def to_json(value: Any) -> bytes:
    """The value as one line of UTF-8 without spaces between. Raises what `json.dumps` raises."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def from_json(text: str) -> Any:
    """The value of a JSON text. Raises ValueError, RecursionError."""
    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text)
