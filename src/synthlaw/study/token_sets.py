"""Token sets of a study folder by name, and what the grids need of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synthlaw.common.numbers import format_count
from synthlaw.study.store import MARKER, Artifact
from synthlaw.tokens.dataset import MANIFEST, read_manifest

STAGE = "tokens"
DOMAIN = "domain-"
"""Begins the names of sets that are scored, not trained on."""


def newest_sets(root: Path) -> dict[str, Artifact]:
    """The newest token set of every source and domain, by the artifact's name."""
    found: dict[str, Artifact] = {}
    folders = [path.parent for path in root.glob(f"artifacts/{STAGE}/*/{MANIFEST}")]
    finished = [path for path in folders if (path / MARKER).exists()]
    for path in sorted(finished, key=lambda path: (path / MARKER).stat().st_mtime_ns):
        name = path.name.rpartition("-")[0]
        found[name] = Artifact(STAGE, name, path, "", 0.0)
    return found


def supply(need: Mapping[str, int], folder: Path | None) -> list[dict[str, Any]]:
    """Tokens at hand against those needed, of every source that `folder` holds already."""
    sets = newest_sets(folder) if folder is not None else {}
    return [
        {"source": name, "needed": needed, "at_hand": read_manifest(sets[name].path).tokens}
        for name, needed in need.items()
        if name in sets
    ]


def supply_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The same for people; what does not suffice is said."""
    said = [
        f"{row['source']} {format_count(row['at_hand'])} for {format_count(row['needed'])}"
        + (" NEEDED: TOO FEW" if row["at_hand"] < row["needed"] else "")
        for row in rows
    ]
    return [f"at hand       {', '.join(said)} tokens"] if said else []
