"""Speeds measured in a study folder, for plans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthlaw.common.files import read_json, write_json

SPEEDS = "speeds.json"
"""In a study folder."""

GENERATED = "completion_tokens_per_second"
"""Key in SPEEDS: by generator."""


def measured_speeds(folder: Path | None) -> dict[str, Any]:
    """What was measured in `folder` so far: flops_per_second of a worker, and GENERATED."""
    path = folder / SPEEDS if folder else None
    return dict(read_json(path)) if path is not None and path.exists() else {}


def note_speeds(folder: Path, **speeds: Any) -> None:
    """Remember speeds, in place of those that were measured before."""
    write_json(folder / SPEEDS, {**measured_speeds(folder), **speeds})
