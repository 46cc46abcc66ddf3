"""Repeated data: the published law, and what its runs cannot tell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.laws.answer.supply import epochs, tokens_worth, worth
from synthlaw.laws.api import fit_laws
from synthlaw.laws.forms.repetition import RepetitionForm, effective_tokens
from synthlaw.laws.lawfit import LawFit
from synthlaw.laws.table import RunsTable

BASE = {"E": 1.87, "A": 0.6, "B": 1.4, "alpha": 0.35, "beta": 0.35}


def runs(
    decay: float = 12.0, most: float = 40.0, seed: int = 0, noise: float = 0.001
) -> list[dict]:
    """Runs of a known repetition law, single-epoch ones included."""
    form = RepetitionForm(tuple(BASE.items()), 1e9)
    generator = np.random.default_rng(0)
    z = np.array([[*list(BASE.values()), 5.0, decay]])
    rows = []
    for params in (2e8, 1e9, 4e9):
        for unique in (1e9, 5e9, 2e10):
            for times in np.geomspace(1, most, 6):
                point = {"params": params, "tokens": unique * times, "unique_tokens": unique}
                arrays = {name: np.array([value]) for name, value in point.items()}
                unit = dict.fromkeys(point, 1000000000.0)
                loss = float(form.bind(arrays, unit).evaluate(z)[0][0, 0])
                rows.append({**point, "loss": loss * np.exp(noise * generator.standard_normal())})
    return rows


def test_the_decay_is_recovered_with_an_interval() -> None:
    law = fit_laws(RunsTable.from_rows(runs()), "repetition", bootstrap=100, fixed=BASE)[0]
    low, high = law.intervals["R_D"]
    assert low <= 12.0 <= high
    assert law.coefficients["R_D"] == pytest.approx(12.0, rel=0.1)
    again = LawFit.from_json(law.to_json(replicates=20), "place")
    point = {"params": 1e9, "tokens": 5e10, "unique_tokens": 5e9}
    assert again.predict(**point) == pytest.approx(law.predict(**point))


def test_the_single_epoch_law_is_fitted_first_when_it_is_not_given() -> None:
    law = fit_laws(RunsTable.from_rows(runs(noise=0.0)), "repetition", bootstrap=0)[0]
    assert set(law.details["base"]) == set(BASE)
    assert {name: law.coefficients[name] for name in BASE} == law.details["base"]
    assert law.noise < 0.05


def test_hardly_repeated_runs_do_not_identify_the_decay() -> None:
    table = RunsTable.from_rows(runs(most=1.8))
    law = fit_laws(table, "repetition", bootstrap=100, fixed=BASE)[0]
    weak = [w.message for w in law.warnings if w.code == "weakly-identified"]
    assert any("R_D" in message for message in weak)


def test_runs_that_all_repeat_need_a_base_law() -> None:
    rows = [row for row in runs() if row["tokens"] > 1.5 * row["unique_tokens"]]
    with pytest.raises(UsageError, match="repeat nothing"):
        fit_laws(RunsTable.from_rows(rows), "repetition", bootstrap=0)


@given(st.floats(1e6, 1e12), st.floats(1e6, 1e12), st.floats(1, 100))
def test_effective_tokens_are_bounded_and_grow(tokens: float, unique: float, decay: float) -> None:
    found = effective_tokens(tokens, unique, decay)
    assert found <= tokens * (1 + 1e-9)
    assert found <= unique * (1 + decay) * (1 + 1e-9)
    assert effective_tokens(2 * tokens, unique, decay) >= found
    if tokens <= unique:
        assert found == tokens


@given(st.floats(0, 1), st.floats(1e8, 1e11), st.floats(0.1, 20))
def test_worth_and_its_inverse(share: float, natural: float, times: float) -> None:
    tokens = natural * times
    fresh = worth(tokens, share, natural)
    assert tokens_worth(np.array([fresh]), share, natural)[0] == pytest.approx(tokens, rel=1e-6)
    assert worth(tokens, share, None) == tokens
    assert epochs(tokens, share, None) is None
    assert epochs(tokens, share, natural) == pytest.approx((1 - share) * times)


def test_no_number_of_repeats_is_worth_more_than_the_limit() -> None:
    assert np.isinf(tokens_worth(np.array([1e12, np.inf]), 0.0, 1e9)).all()
