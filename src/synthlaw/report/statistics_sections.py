"""What the page's section of statistics shows, worked out from the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from synthlaw.report.artifacts import Interval
from synthlaw.report.comparison import Comparison, Row

MOST_GAPS = 8
MOST_OVERUSED = 14
MOST_EXPLAINING = 10


@dataclass(frozen=True)
class SetRow:
    """One set at the common size; `shape` is its Zipf-Mandelbrot exponent."""

    name: str
    number: int
    mixture: bool
    types: float
    types_span: Interval
    unseen: float
    shape: float | None
    shape_span: Interval
    distinct: float | None
    repeated: float | None


def set_rows(found: Comparison) -> list[SetRow]:
    """Training sets and mixtures, in their order; n-gram figures are of trigrams and 4-grams."""
    rows = []
    for number, name in enumerate(found.trained):
        mixture = name not in found.facts.training
        role = "mixture" if mixture else "training"
        support = found.rows("support", set=name, role=role, sample="equal")[0]
        law = found.rows("zipf", set=name, role=role, law="zipf-mandelbrot")[0]
        grams = {row["n"]: row for row in found.rows("ngrams", set=name, role=role)}
        rows.append(
            SetRow(
                name,
                number,
                mixture,
                support["types"],
                _span(support, "types"),
                support["unseen_mass"],
                law["exponent"],
                _span(law, "exponent"),
                grams[3]["distinct_ratio"] if 3 in grams else None,
                grams[4]["repeated_across"] if 4 in grams else None,
            )
        )
    return rows


def _span(row: Row, name: str) -> Interval:
    return row.get(f"{name}_low"), row.get(f"{name}_high")


@dataclass(frozen=True)
class DistanceCell:
    """KL of a test set from a training set; `shade`: its difference to the baseline, -1 to 1."""

    kl: float
    difference: float | None
    difference_span: Interval
    shade: float
    least: bool


def distance_table(found: Comparison) -> list[tuple[str, int, list[DistanceCell]]]:
    """For each training set and mixture its cells over the test sets; empty without test sets."""
    rows = found.rows("divergence", smoothing=found.facts.smoothing)
    if not rows:
        return []
    by_pair = {(row["training"], row["test"]): row for row in rows}
    full = max((abs(row["difference"]) for row in rows if row.get("difference")), default=1.0)
    least = {test: min(by_pair[n, test]["kl"] for n in found.trained) for test in found.tests}
    table = []
    for number, name in enumerate(found.trained):
        cells = []
        for test in found.tests:
            row = by_pair[name, test]
            difference = row.get("difference")
            cells.append(
                DistanceCell(
                    row["kl"],
                    difference,
                    _span(row, "difference"),
                    (difference or 0.0) / full,
                    row["kl"] == least[test],
                )
            )
        table.append((name, number, cells))
    return table


@dataclass(frozen=True)
class TokenList:
    """Tokens under a heading: (text, what is said of it)."""

    heading: str
    number: int
    tokens: Sequence[tuple[str, str]]
    share: float | None = None


def gap_lists(found: Comparison) -> list[TokenList]:
    """For each training set the tokens that test sets have often and it has rarely.

    share: mean over test sets of the part of their tokens that are such.
    """
    lists = []
    for number, name in enumerate(found.trained):
        rows = sorted(
            found.rows("gaps", training=name), key=lambda row: -float(row["test_per_million"])
        )
        best: dict[str, Row] = {}
        for row in rows:
            best.setdefault(shown_token(row), row)
        tokens = [
            (
                text,
                f"{row['test']}: {row['test_per_million']:,.0f} per million, "
                f"here {row['training_per_million']:,.1f}",
            )
            for text, row in list(best.items())[:MOST_GAPS]
        ]
        shares = [
            row["gap_token_share"]
            for row in found.rows("coverage", training=name, threshold_per_million=0.0)
        ]
        share = sum(shares) / len(shares) if shares else None
        lists.append(TokenList(name, number, tokens, share))
    return lists


def overuse_lists(found: Comparison) -> list[TokenList]:
    """For each training set the tokens that it uses more than the baseline."""
    lists = []
    for number, name in enumerate(found.trained):
        rows = found.rows("overuse", set=name, against=found.facts.baseline)
        tokens = [
            (
                shown_token(row),
                f"{row['per_million']:,.0f} per million, {row['against_per_million']:,.0f} in "
                f"{row['against']}; z {row['z_documents'] or row['z']:.1f}",
            )
            for row in rows[:MOST_OVERUSED]
        ]
        if tokens:
            lists.append(TokenList(name, number, tokens))
    return lists


def explaining_lists(found: Comparison) -> list[TokenList]:
    """For each pair of models, on all test sets, the tokens that explain their difference."""
    lists: dict[tuple[str, str, str], list[Row]] = {}
    for row in found.rows("loss_difference"):
        lists.setdefault((row["test"], row["first"], row["second"]), []).append(row)
    return [
        TokenList(
            f"{second} minus {first}, on {test}: {-rows[0]['difference']:+.3f} nats per token",
            0,
            [
                (shown_token(row), f"{-row['part']:+.4f} nats per token, {row['scored']:,} tokens")
                for row in rows[:MOST_EXPLAINING]
            ],
        )
        for (test, first, second), rows in lists.items()
    ]


def shown_token(row: Row) -> str:
    """A token's text with its spaces visible; its number when no tokenizer gave a text."""
    text = str(row["text"]).replace(" ", "·")
    return text or f"#{row['token']}"


@dataclass(frozen=True)
class DecileRow:
    """One model on one test set: the part of its loss in each tenth of the tokens."""

    model: str
    test: str
    loss: float
    shares: Sequence[tuple[float, float]]


def decile_rows(found: Comparison) -> list[DecileRow]:
    """(part of the tokens, part of the loss) per group, rarest in training first."""
    grouped: dict[tuple[str, str], list[Row]] = {}
    for row in found.rows("loss_by_frequency", grouping="decile"):
        grouped.setdefault((row["test"], row["model"]), []).append(row)
    found_rows = []
    for (test, model), rows in sorted(grouped.items()):
        tokens = sum(row["tokens"] for row in rows)
        loss = sum(row["tokens"] * row["loss"] for row in rows) / tokens
        shares = [(row["token_share"], row["loss_share"]) for row in rows]
        found_rows.append(DecileRow(model, test, loss, shares))
    return found_rows
