"""Free-form facts (a plan, an engine, a machine) as rows of name and text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from synthlaw.common.numbers import format_seconds
from synthlaw.report.numerals import NONE, count

EXACT_BELOW = 10_000
"""Whole numbers up to here are shown digit by digit, larger ones rounded with a suffix."""


def facts(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Rows of (name, text) in order; a nested object's keys follow its own, after a dot."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping) and value:
            rows += facts(value, f"{prefix}{key} · ")
        elif _is_number(value) and "seconds" in key.split("_"):
            rows.append((name, format_seconds(value)))
        elif _is_number(value) and "bytes" in key.split("_"):
            rows.append((name.replace(" bytes", ""), f"{value / 2**30:.3g} GiB"))
        else:
            rows.append((name, _text(value)))
    return rows


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if _is_number(value):
        return _number_text(value)
    if isinstance(value, list):
        return ", ".join(_item_text(item) for item in value) or "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _number_text(value: float) -> str:
    if float(value).is_integer() and abs(value) < EXACT_BELOW:
        return str(int(value))
    return count(value) if abs(value) >= 1000 else f"{value:.4g}"


def _item_text(item: Any) -> str:
    """An item of a list; an object is named by its first value, as in a list of sizes."""
    if isinstance(item, Mapping):
        return _text(next(iter(item.values()), None))
    return _text(item)
