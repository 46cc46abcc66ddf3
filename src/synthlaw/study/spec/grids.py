"""Grids: full products of mixtures, sizes, budgets and seeds; several may make up one study.

A data ladder at one size, a model ladder at one budget and a ladder of shares are three grids. A
run that two grids share is one run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field, field_validator

from synthlaw.common.settings import Count, Name, Settings
from synthlaw.study.spec.ladder import Ladder, SizeSpec
from synthlaw.training.presets import PRESETS

NATURAL = "natural"
LADDER = "ladder"
"""The name of the one grid of a study without `grids`."""


class ShareRule(Settings):
    """Mixtures of one or more types with the natural text, at each of some shares."""

    type: list[Name] = Field(min_length=1, description="recipes or sources, one or a list")
    of: list[float] = Field(min_length=1, description="shares, 0 to 1, such as [0.05, 0.1, 0.2]")

    @field_validator("type", mode="before", json_schema_input_type=str | list[str])
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("of")
    @classmethod
    def _shares(cls, value: list[float]) -> list[float]:
        if not all(0 <= share <= 1 for share in value) or len(set(value)) < len(value):
            raise ValueError(f"found {value}; expected distinct shares from 0 to 1")
        return value

    def mixtures(self) -> Iterator[tuple[str, dict[str, float]]]:
        """Each mixture with the name that it has where the file gives it none, such as 33HQ."""
        for kind in self.type:
            for share in self.of:
                if share == 0:
                    yield "natural", {NATURAL: 1.0}
                elif share == 1:
                    yield kind.upper(), {kind: 1.0}
                else:
                    rest = round(1 - share, 12)
                    yield f"{100 * share:.10g}{kind.upper()}", {NATURAL: rest, kind: share}


class GridSpec(Settings):
    """A full product. What is left out is the ladder's, and the mixtures that the file lists."""

    mixtures: list[Name] | ShareRule | None = Field(
        None, description="names, or a rule: {type: hq, of: [0.01, 0.02, 0.05]}"
    )
    sizes: list[Name] | None = Field(
        None, min_length=1, description="names of ladder.sizes, or presets"
    )
    budgets: list[Count] | None = Field(None, min_length=1, description="training tokens per run")
    seeds: list[int] | None = Field(None, min_length=1)


@dataclass(frozen=True)
class Grid:
    """A grid with everything that it takes from elsewhere; counts in tokens."""

    name: str
    mixtures: Sequence[str]
    sizes: Sequence[str]
    budgets: Sequence[float]
    seeds: Sequence[int]


def with_rules(value: Any) -> Any:
    """The raw study file with the mixtures that its grids' rules describe added.

    A grid that names no mixtures takes those that the file itself lists. What is not well formed is
    left as it is, for the fields' own checks to tell.
    """
    if not isinstance(value, dict) or not isinstance(value.get("grids"), dict):
        return value
    mixtures = value.get("mixtures", {})
    if not isinstance(mixtures, dict):
        return value
    found = dict(mixtures)
    grids = {}
    for key, grid in value["grids"].items():
        grids[key] = grid
        rule = grid.get("mixtures") if isinstance(grid, dict) else None
        if isinstance(grid, dict) and rule is None:
            grids[key] = {**grid, "mixtures": [str(name) for name in mixtures]}
        try:
            if isinstance(rule, dict):
                for name, shares in ShareRule.model_validate(rule).mixtures():
                    found.setdefault(named(shares, found) or name, shares)
        except ValueError:
            continue
    return {**value, "mixtures": found, "grids": grids}


def named(shares: Mapping[str, float], mixtures: Mapping[str, Any]) -> str | None:
    """The name of a mixture with just these shares; None when there is none."""
    present = {name: share for name, share in shares.items() if share}
    for name, other in mixtures.items():
        if isinstance(other, dict) and {n: s for n, s in other.items() if s} == present:
            return str(name)
    return None


def resolved(
    grids: Mapping[str, GridSpec], ladder: Ladder, mixtures: Mapping[str, Mapping[str, float]]
) -> list[Grid]:
    """The grids of a study in the file's order. Raises ValueError naming the key of a mistake."""
    if not grids:
        grids = {LADDER: GridSpec()}
    return [_resolved(name, spec, ladder, mixtures) for name, spec in grids.items()]


def _resolved(
    name: str, spec: GridSpec, ladder: Ladder, mixtures: Mapping[str, Mapping[str, float]]
) -> Grid:
    place = "" if name == LADDER else f"grids.{name}."
    sizes = spec.sizes or list(ladder.sizes)
    budgets = spec.budgets or ladder.budgets
    for key, found in (("sizes", sizes), ("budgets", budgets)):
        if not found:
            where = f"ladder.{key}" if not place else f"{place}{key}"
            hint = "" if not place else f" of its own, or ladder.{key}"
            raise ValueError(f"{where}: found none; expected {key}{hint}")
    known = [*ladder.sizes, *PRESETS]
    for size in sizes:
        if size not in known:
            raise ValueError(f"{place}sizes: found {size!r}; expected one of {', '.join(known)}")
    return Grid(
        name, _mixtures(place, spec.mixtures, mixtures), sizes, budgets, spec.seeds or ladder.seeds
    )


def _mixtures(
    place: str,
    wanted: list[str] | ShareRule | None,
    mixtures: Mapping[str, Mapping[str, float]],
) -> list[str]:
    if wanted is None:
        return list(mixtures)
    if isinstance(wanted, ShareRule):
        names = [named(shares, mixtures) or name for name, shares in wanted.mixtures()]
        return list(dict.fromkeys(names))
    for name in wanted:
        if name not in mixtures:
            raise ValueError(
                f"{place}mixtures: found {name!r}; expected one of {', '.join(mixtures)}"
            )
    return wanted


def shapes(ladder: Ladder, grids: Sequence[Grid]) -> dict[str, SizeSpec]:
    """Every size that a grid names, in the order of the file."""
    names = dict.fromkeys(size for grid in grids for size in grid.sizes)
    return {name: ladder.sizes.get(name) or SizeSpec(preset=name) for name in names}
