"""What a fit minimises, against the textbook definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import huber

from synthlaw.common.errors import UsageError
from synthlaw.laws.fit.objectives import NAMES, objective_named

RESIDUALS = st.lists(st.floats(-2, 2), min_size=1, max_size=20).map(np.array)


@given(RESIDUALS, st.floats(1e-4, 1.0))
def test_huber_is_scipys(residuals: np.ndarray, delta: float) -> None:
    ours = objective_named("log-huber", delta).value(residuals, np.ones(len(residuals)))
    assert ours == pytest.approx(huber(delta, residuals).sum(), rel=1e-12, abs=1e-300)


@given(RESIDUALS, st.sampled_from(NAMES), st.floats(0.2, 10))
def test_slopes_are_derivatives(residuals: np.ndarray, name: str, over: float) -> None:
    objective = objective_named(name, 0.1, over)
    step = 1e-6
    away = np.abs(np.abs(residuals) - 0.1) > 1e-5
    residuals = residuals[away & (np.abs(residuals) > 1e-5)]
    one = np.ones(1)
    up = np.array([objective.value(np.array([r + step]), one) for r in residuals])
    down = np.array([objective.value(np.array([r - step]), one) for r in residuals])
    first, _, majorant = objective.slopes(residuals)
    np.testing.assert_allclose(first, (up - down) / (2 * step), rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(majorant * residuals, first, rtol=1e-12, atol=1e-300)


def test_over_prediction_weighs_more_when_asked() -> None:
    objective = objective_named("mse", over=10.0)
    weights = np.ones(1)
    assert objective.value(np.array([0.1]), weights) == pytest.approx(
        10 * objective.value(np.array([-0.1]), weights)
    )


def test_reported_values() -> None:
    residuals, weights = np.array([0.3, -0.1]), np.ones(2)
    assert objective_named("mse").reported(residuals, weights) == pytest.approx(0.05)
    assert objective_named("lad").reported(residuals, weights) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("name", "delta", "over"),
    [("huberr", 1e-3, 1.0), ("huber", 0.0, 1.0), ("huber", float("nan"), 1.0), ("mse", 1e-3, -1.0)],
)
def test_bad_choices_are_refused(name: str, delta: float, over: float) -> None:
    with pytest.raises(UsageError):
        objective_named(name, delta, over)
