"""Batched non-negative least squares against scipy's."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from synthlaw.laws.fit.nonnegative import solve_nonnegative


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.floats(1e-3, 1e3))
def test_agrees_with_scipy(seed: int, columns: int, scale: float) -> None:
    generator = np.random.default_rng(seed)
    X = generator.uniform(0, 1, (5, 12, columns)) * scale ** np.arange(columns)
    y = generator.standard_normal((5, 12)) + 0.5
    gram = np.einsum("mik,mil->mkl", X, X)
    moment = np.einsum("mik,mi->mk", X, y)
    ours = solve_nonnegative(gram, moment)
    assert (ours >= 0).all()
    for m in range(5):
        _, residual = nnls(X[m], y[m])
        found = np.linalg.norm(X[m] @ ours[m] - y[m])
        assert found <= residual * (1 + 1e-6) + 1e-9
