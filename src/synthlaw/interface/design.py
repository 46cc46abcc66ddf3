"""The next runs in Python: what `synthlaw design` prints, as an object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from synthlaw.common.numbers import format_count, parse_count
from synthlaw.interface.laws import Count
from synthlaw.interface.record import Record
from synthlaw.interface.runs import read_runs
from synthlaw.laws.design.choosing import next_runs
from synthlaw.laws.design.emulator import Emulator
from synthlaw.laws.design.question import Question, answer
from synthlaw.laws.design.table import Space, space_of
from synthlaw.laws.table import RunsTable

FIRST_BATCH = 8


def design(
    runs: str | PathLike[str] | Sequence[Mapping[str, Any]] | RunsTable | None = None,
    *,
    params: Count,
    tokens: Count,
    types: Sequence[str] = (),
    sizes: Sequence[Count] = (),
    budgets: Sequence[Count] = (),
    shares: Sequence[float] = (),
    count: int = FIRST_BATCH,
    most_flops: Count | None = None,
    within: float = 0.05,
    level: float = 0.9,
    noise: float | None = None,
    seed: int = 0,
) -> Record:
    """The runs that tell most per FLOP which type and share are best at params and tokens.

    runs: those trained so far, with columns synthetic_type and synthetic_ratio; None for none.
    types, sizes, budgets, shares: of what may be run, by default the table's, and shares in steps
    of 5 points. count: runs in the batch. most_flops: what the batch may take. within, level: the
    answer counts as settled when the share's interval and the type's probability are so. noise:
    standard deviation of ln loss between seeds, by default what repeats in the table show.

    A dict {"answer", "settled", "next", "noise", …} that prints as the command does. Raises
    UsageError for a table without types, and where nothing is said of what may be run.
    """
    table = runs if isinstance(runs, RunsTable) or runs is None else read_runs(runs)
    space = space_of(
        table,
        types=types,
        sizes=[parse_count(size, "sizes") for size in sizes],
        budgets=[parse_count(budget, "budgets") for budget in budgets],
        shares=shares,
        noise=noise,
    )
    question = Question(
        parse_count(params, "params"), parse_count(tokens, "tokens"), space.targets, within, level
    )
    emulator = Emulator(space.points, space.seen, space.middle, space.noise)
    known = answer(emulator, question, seed)
    settled = known.settled and len(space.seen) > 0
    most = np.inf if most_flops is None else parse_count(most_flops, "most_flops")
    chosen = (
        []
        if settled
        else next_runs(emulator, question, known, space.candidates, count, most=float(most))
    )
    following = [_row(space, one.candidate, one.gain) for one in chosen]
    told = {
        "params": question.params,
        "tokens": question.tokens,
        "level": level,
        "answer": {**known.to_json(), "settled": settled},
        "next": following,
        "flops": sum(row["flops"] for row in following),
        "runs": len(space.seen),
        "noise": space.noise,
        "noise_known": space.noise_known,
        "left_out": [row.to_json() for row in space.left_out],
    }
    return Record(told, design_lines)


def _row(space: Space, candidate: int, gain: float) -> dict[str, Any]:
    options = space.candidates
    point = space.points[int(options.point[candidate])]
    same = (
        (space.seen.point == options.point[candidate])
        & np.isclose(space.seen.params, options.params[candidate], rtol=0.01)
        & np.isclose(space.seen.tokens, options.tokens[candidate], rtol=0.01)
    )
    return {
        "synthetic_type": point.kind if point.share else "",
        "synthetic_ratio": point.share,
        "params": float(options.params[candidate]),
        "tokens": float(options.tokens[candidate]),
        "repeats": int(same.sum()),
        "flops": float(options.cost[candidate]),
        "gain": gain,
    }


def design_lines(told: Mapping[str, Any]) -> list[str]:
    """The answer so far and the next runs, for people."""
    found = told["answer"]
    low, high = found["share_interval"]
    at = f"{format_count(told['params'])} parameters and {format_count(told['tokens'])} tokens"
    named = found["synthetic_type"]
    named = "natural text" if named == "natural" else f"{found['share']:.0%} {named}"
    said = "assumed" if not told["noise_known"] else "from repeats"
    lines = [
        f"{told['runs']} runs; noise between seeds {told['noise']:.2%} ({said})",
        f"Best at {at}: {named}, expected loss {found['loss']:.3f}"
        if told["runs"]
        else f"Nothing is known yet of {at}.",
    ]
    if told["runs"]:
        lines.append(
            f"  probability of the type {found['probability']:.0%}, share {low:.0%} to {high:.0%} "
            f"at {told['level']:.0%}" + (": settled" if found["settled"] else "")
        )
    if told["next"]:
        lines += ["", f"Next, {format_count(told['flops'])} FLOP:"]
    for row in told["next"]:
        mixture = (
            f"{row['synthetic_ratio']:.1%} {row['synthetic_type']}"
            if row["synthetic_ratio"]
            else "natural"
        )
        again = f", seed {row['repeats'] + 1} of this run" if row["repeats"] else ""
        lines.append(
            f"  {mixture:<16} {format_count(row['params']):>7} parameters  "
            f"{format_count(row['tokens']):>7} tokens  {format_count(row['flops']):>8} FLOP{again}"
        )
    if told["left_out"]:
        first = told["left_out"][0]
        lines.append(
            f"{len(told['left_out'])} rows left out, first line {first['row']}: {first['reason']}"
        )
    return lines
