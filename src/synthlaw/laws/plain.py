"""JSON has no infinity and no NaN: both become null in everything that this room hands out."""

from __future__ import annotations

import math
from typing import Any


def without_infinities(value: Any) -> Any:
    """`value` (nested dicts, lists, numbers, texts) with None for numbers that are not finite."""
    if isinstance(value, dict):
        return {key: without_infinities(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_infinities(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
