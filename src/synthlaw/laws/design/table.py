"""A table of runs as what the emulator reads: points, runs, and the candidates beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.laws.design.choosing import Candidates
from synthlaw.laws.design.emulator import Point, Seen
from synthlaw.laws.table import LeftOut, Runs, RunsTable

Array = NDArray[np.float64]

STEP = 0.05
"""Between the shares that are asked about."""

USUAL_NOISE = 0.003
"""Of ln loss between seeds, where the table has too few repeats to tell: the order of what runs of
language models show."""

FEWEST_REPEATS = 5
NATURAL = ("", "natural")


@dataclass(frozen=True)
class Space:
    """Everything that can be asked or run. targets: numbers of the points that may be the answer.

    noise: of ln loss; noise_known: whether repeats in the table told it. middle: of sizes.
    """

    points: list[Point]
    targets: list[int]
    seen: Seen
    candidates: Candidates
    noise: float
    noise_known: bool
    middle: tuple[float, float]
    left_out: list[LeftOut] = field(default_factory=list)


def space_of(
    table: RunsTable | None,
    *,
    types: Sequence[str] = (),
    sizes: Sequence[float] = (),
    budgets: Sequence[float] = (),
    shares: Sequence[float] = (),
    noise: float | None = None,
) -> Space:
    """The space of a table of runs, or of none.

    types, sizes (parameters), budgets (tokens), shares: of what may be run; by default those of the
    table, and shares in steps of 5 points. Raises UsageError when there are neither, for a table
    without types and shares, and for shares outside 0 to 1.
    """
    kinds, ratios, runs, left = _read(table)
    named = sorted({str(kind) for kind, ratio in zip(kinds, ratios, strict=True) if ratio > 0})
    wanted = list(types) or named
    if not wanted:
        raise UsageError("types: found none; expected synthetic types, such as hq,qa")
    if not all(0 < share <= 1 for share in shares):
        raise UsageError(f"shares: found {list(shares)}; expected numbers above 0, up to 1")
    steps = [round(STEP * n, 6) for n in range(1, round(1 / STEP) + 1)]
    asked = sorted(shares) or steps
    points = [Point(wanted[0], 0.0)]
    points += [Point(kind, share) for kind in wanted for share in asked]
    targets = list(range(len(points)))
    numbers = {(p.kind if p.share else "", round(p.share, 6)): i for i, p in enumerate(points)}
    at = []
    for kind, ratio in zip(kinds, ratios, strict=True):
        place = (str(kind) if ratio > 0 else "", round(float(ratio), 6))
        if place not in numbers:
            numbers[place] = len(points)
            points.append(Point(*place))
        at.append(numbers[place])
    params, tokens, loss = runs
    seen = Seen(np.array(at, dtype=np.intp), params, tokens, loss)
    n = _settled("sizes", sizes, params)
    d = _settled("budgets", budgets, tokens)
    found = noise or _between_repeats(seen)
    middle = (float(np.exp(np.mean(np.log(n)))), float(np.exp(np.mean(np.log(d)))))
    return Space(
        points, targets, seen, _candidates(targets, n, d), found or USUAL_NOISE,
        found is not None, middle, left,
    )  # fmt: skip


def _read(
    table: RunsTable | None,
) -> tuple[Sequence[str], Array, tuple[Array, Array, Array], list[LeftOut]]:
    if table is None:
        nothing = np.zeros(0)
        return (), nothing, (nothing, nothing, nothing), []
    runs, left = table.usable(["params", "tokens"])
    kinds, ratios = _mixtures(table, runs)
    kept = np.array(["+" not in kind for kind in kinds])
    left = left + [
        LeftOut(int(line), "several synthetic types in one mixture") for line in runs.lines[~kept]
    ]
    sizes = (runs.numbers["params"][kept], runs.numbers["tokens"][kept], runs.loss[kept])
    return kinds[kept].tolist(), ratios[kept], sizes, left


def _mixtures(table: RunsTable, runs: Runs) -> tuple[NDArray[np.str_], Array]:
    """Type and share of every run. Without these columns every mixture is a type of its own."""
    if "ratio" in runs.numbers and "synthetic_type" in runs.texts:
        ratios = np.nan_to_num(runs.numbers["ratio"], nan=0.0)
        kinds = runs.texts["synthetic_type"]
        return kinds, np.where(np.isin(kinds, NATURAL), 0.0, ratios)
    raise UsageError(
        f"{table.origin}: found no columns of the synthetic type and its share; expected "
        "synthetic_type and synthetic_ratio, with a ratio of 0 for natural text"
    )


def _settled(name: str, asked: Sequence[float], there: Array) -> Array:
    found = np.unique(np.array(asked, dtype=float) if len(asked) else there)
    if not len(found):
        raise UsageError(f"{name}: found none; expected what may be run, such as 100M,200M,400M")
    return np.asarray(found, dtype=float)


def _candidates(targets: Sequence[int], sizes: Array, budgets: Array) -> Candidates:
    rows = [(point, n, d) for point in targets for n in sizes for d in budgets]
    point, params, tokens = (np.array(column) for column in zip(*rows, strict=True))
    return Candidates(point.astype(np.intp), params, tokens, 6 * params * tokens)


def _between_repeats(seen: Seen) -> float | None:
    """Standard deviation of ln loss between runs of one mixture and size; None with too few."""
    groups: dict[tuple[int, float, float], list[float]] = {}
    for row in zip(seen.point.tolist(), seen.params, seen.tokens, seen.loss, strict=True):
        groups.setdefault((row[0], row[1], row[2]), []).append(float(np.log(row[3])))
    degrees = sum(len(values) - 1 for values in groups.values())
    if degrees < FEWEST_REPEATS:
        return None
    squares = sum(float(np.var(values)) * len(values) for values in groups.values())
    return float(np.sqrt(squares / degrees)) or None
