"""Laws in a file: what `fit --out` writes and `recommend --laws` reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from synthlaw.common.errors import UsageError
from synthlaw.common.files import read_json, write_json
from synthlaw.laws.lawfit import LawFit

if TYPE_CHECKING:
    from synthlaw.laws.fit.building import LawSet

REPLICATES_KEPT = 400
"""Replicates written for `recommend`: enough for a 90% interval, small enough a file."""


def require_place(path: Path) -> None:
    """Raise UsageError when `path` holds something else than laws, such as the table itself."""
    if path.exists():
        try:
            read_laws(path)
        except UsageError as error:
            raise UsageError(f"{path}: would replace another file: {error}") from None


def write_laws(path: Path, laws: LawSet) -> None:
    """Write laws with their replicates. Raises UsageError when `path` holds something else."""
    require_place(path)
    write_json(path, laws.to_json(replicates=REPLICATES_KEPT))


def read_laws(path: Path) -> list[LawFit]:
    """Laws from a file of `fit --out` or of a study. Raises UsageError naming file and key."""
    if not path.is_file():
        raise UsageError(f"{path}: found no such file; expected laws from 'synthlaw fit --out'")
    try:
        data = read_json(path)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: found no JSON ({error}); expected laws from 'fit --out'"
        ) from None
    if not isinstance(data, dict) or not isinstance(data.get("laws"), list):
        raise UsageError(f"{path}: found no list 'laws'; expected a file from 'fit --out'")
    return [LawFit.from_json(law, f"{path}, laws[{i}]") for i, law in enumerate(data["laws"])]
