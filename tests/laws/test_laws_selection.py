"""Row conditions of --holdout."""

from __future__ import annotations

import pytest

from synthlaw.common.errors import UsageError
from synthlaw.laws.fit.selection import select
from synthlaw.laws.table import Runs, RunsTable


@pytest.fixture
def runs() -> Runs:
    rows = [
        {"params": n, "tokens": d, "loss": 3.0, "mixture": m, "seed": s, "loss/wiki": 2.0 + s}
        for n, d, m, s in (
            (1e9, 5e10, "CC", 0),
            (1e9, 2e11, "33HQ", 1),
            (3e9, 1e11, "CC", 2),
        )
    ]
    return RunsTable.from_rows(rows).usable(["params", "tokens"])[0]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("tokens>100e9", [False, True, False]),
        ("tokens>=100B", [False, True, True]),
        ("params > 2e9", [False, False, True]),
        ("params<2B and mixture=='33HQ'", [False, True, False]),
        ('not mixture=="CC"', [False, True, False]),
        ("mixture != CC", [False, True, False]),
        ("tokens<60e9 or (params>2B and seed==2)", [True, False, True]),
        ("loss/wiki >= 3", [False, True, True]),
        ("tokens > 0", [True, True, True]),
        ("seed == 0", [True, False, False]),
    ],
)
def test_expressions(runs: Runs, expression: str, expected: list[bool]) -> None:
    assert select(runs, expression).tolist() == expected


@pytest.mark.parametrize(
    "expression",
    ["", "tokens", "tokens>", "tokens>>5", "depth>5", "tokens>5 tokens<9", "(tokens>5",
     "__import__('os')", "mixture>'CC'", "tokens>1e9e9"],
)  # fmt: skip
def test_bad_expressions_are_refused_quoting_them(runs: Runs, expression: str) -> None:
    with pytest.raises(UsageError, match="expression"):
        select(runs, expression)
