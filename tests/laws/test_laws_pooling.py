"""What one law pools, and names and values that are not in the table."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from synthlaw.common.errors import UsageError
from synthlaw.laws.api import fit_laws
from synthlaw.laws.table import RunsTable


def laws_of(rows: list[dict[str, Any]], law: str = "data", **options: Any) -> Any:
    return fit_laws(RunsTable.from_rows(rows), law, bootstrap=0, **options)


def ladder(loss: Callable[[float], float], **more: Any) -> list[dict[str, Any]]:
    return [{"tokens": d, "loss": loss(d / 1e9), **more} for d in (1e9, 2e9, 4e9, 8e9, 16e9)]


@pytest.mark.parametrize(
    "column", ["dataset", "width", "lr", "model", "Mixture name", "metric"]
)  # fmt: skip
def test_a_law_that_pools_different_runs_says_so(column: str) -> None:
    values = (1, 2) if column in ("width", "lr") else ("small", "large")
    rows = [
        *ladder(lambda d: 2 + d**-0.3, **{column: values[0]}),
        *ladder(lambda d: 2.5 + d**-0.3, **{column: values[1]}),
    ]
    pooled = [w for w in laws_of(rows)[0].warnings if w.code == "pooled-runs"]
    assert len(pooled) == 1 and f"--by {column}" in pooled[0].message
    apart = laws_of(rows, by=column)
    assert len(apart) == 2
    assert not [w for law in apart for w in law.warnings if w.code == "pooled-runs"]


def test_model_sizes_are_parted_under_any_usual_name() -> None:
    rows = [
        row
        for size in ("70M", "160M", "410M")
        for row in ladder(lambda d: 2 + d**-0.3, n_params=size)
    ]
    assert [law.at["params"] for law in laws_of(rows)] == pytest.approx([0.07, 0.16, 0.41])


def test_what_follows_from_the_sizes_is_no_pooling() -> None:
    rows = [
        {"params": n, "tokens": d, "loss": 2 + n**-0.1 + d**-0.1, "model": f"m{n:g}", "lr": 1 / n}
        for n in (1e8, 2e8, 4e8, 8e8)
        for d in (1e9, 2e9, 4e9, 8e9)
    ]
    assert not [w for w in laws_of(rows, "joint")[0].warnings if w.code == "pooled-runs"]


def test_pooled_shares_and_repeated_tokens_are_told() -> None:
    rows = [
        *ladder(lambda d: 2 + d**-0.3, synthetic_ratio=0.0, unique_tokens=4e9),
        *ladder(lambda d: 1.9 + d**-0.3, synthetic_ratio=0.5, unique_tokens=4e9),
    ]
    text = " ".join(w.message for w in laws_of(rows)[0].warnings if w.code == "pooled-runs")
    assert "shares from 0 to 0.5" in text and "4 of 10 runs repeat" in text


def test_checkpoints_of_one_run_are_told() -> None:
    rows = ladder(lambda d: 2 + d**-0.3, run="a")
    assert "repeated-runs" in [w.code for w in laws_of(rows)[0].warnings]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"at": {"parms": 1e9}}, "--at parms"),
        ({"at": {"seed": 1}}, "--where"),
        ({"at": {"tokens": 3e9}}, "expected tokens among 1e+09"),
        ({"fixed": {"gamma": 0.3}}, "expected one of E, B, beta"),
        ({"fixed": {"E": -1.0}}, "that is not below 0"),
        ({"fixed": {"E": math.nan}}, "that is not below 0"),
        ({"by": "flavour"}, "expected 'flavour'"),
        ({"by": "seed,flavour"}, "expected 'flavour'"),
        ({"where": "colour == 'red'"}, "one of the columns"),
        ({"where": "tokens > 100B"}, "found no runs where"),
        ({"holdout": "parms>1B"}, "one of the columns"),
    ],
)
def test_names_and_values_that_are_not_there_are_refused(
    options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError) as error:
        laws_of(ladder(lambda d: 2 + d**-0.3, seed=1), **options)
    assert words in str(error.value)


def test_columns_that_are_not_there_are_refused() -> None:
    for columns in ({"params": "size_in_b"}, {"parms": "N"}):
        with pytest.raises(UsageError, match="found"):
            RunsTable.from_rows([{"tokens": 1e9, "loss": 3.0}], columns)


def test_at_keeps_runs_for_every_law() -> None:
    rows = [
        {"params": n, "tokens": d, "loss": 2 + (n / 1e9) ** -0.3 + (d / 1e9) ** -0.3}
        for n in (1e8, 2e8, 4e8, 8e8)
        for d in (1e9, 2e9, 4e9, 8e9)
    ]
    assert laws_of(rows, "data", at={"params": 1e8})[0].points == 4
    with pytest.raises(UsageError, match="expected at least 5"):
        laws_of(rows, "joint", at={"params": 1e8})
    assert laws_of(rows, "joint", where="params<500M and tokens>1e9")[0].points == 9
