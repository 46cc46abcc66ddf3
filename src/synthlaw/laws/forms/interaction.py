"""Joint laws in which model size and tokens do not simply add.

    interaction   L = E + A N^-alpha + B D^-beta + C N^-alpha D^-beta
    varying       L = E + A N^-alpha + B N^-delta D^-(beta + gamma ln N)

In the second the gain from data changes with model size in its scale and its exponent, as in
Farseer (arXiv 2506.10972: exp(s N^q + S) + exp(B N^b + Q) D^-exp(A N^a + E)), of which it keeps the
first order in ln N. Every column is exp(-sum of shape parameters times known features), so first
and second derivatives are exact. Sizes are counted in `unit`: features are products of logarithms,
which no change of reference could undo.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.laws.forms.power import EXPONENT_BOUNDS, Form

Array = NDArray[np.float64]

LINEAR = {"interaction": ("E", "A", "B", "C"), "varying": ("E", "A", "B")}
SHAPE = {"interaction": ("alpha", "beta"), "varying": ("alpha", "beta", "delta", "gamma")}
BOUNDS = {
    "alpha": EXPONENT_BOUNDS,
    "beta": EXPONENT_BOUNDS,
    "delta": (-0.6, 0.6),
    "gamma": (-0.15, 0.15),
}


@dataclass(frozen=True)
class InteractionForm:
    """One of the two laws above, for sizes counted in `unit`."""

    name: str
    unit: float = 1e9
    inputs: tuple[str, ...] = ("params", "tokens")

    @property
    def linear(self) -> tuple[str, ...]:
        """Names of the non-negative linear coefficients."""
        return LINEAR[self.name]

    @property
    def shape(self) -> tuple[str, ...]:
        """Names of the shape parameters."""
        return SHAPE[self.name]

    @property
    def bounds(self) -> Array:
        """[P, 2]."""
        return np.array([BOUNDS[name] for name in self.shape])

    def bind(self, inputs: Mapping[str, Array], reference: Mapping[str, float]) -> BoundInteraction:
        """The form on points; the reference plays no part."""
        n, d = (np.log(inputs[name] / self.unit) for name in self.inputs)
        features = np.zeros((len(self.linear), len(self.shape), len(n)))
        features[1, 0] = n
        features[2, 1] = d
        if self.name == "interaction":
            features[3] = n, d
        else:
            features[2, 2:] = n, n * d
        return BoundInteraction(features)

    def scale(self, shape: Array, old: Mapping[str, float], new: Mapping[str, float]) -> Array:
        """Ones: coefficients never depend on the reference."""
        return np.ones((len(shape), len(self.linear)))

    def carriers(self, variable: str) -> tuple[int, list[int]]:
        """No size enters as one power alone."""
        raise UsageError(f"the {self.name} law is no plain power of {variable}")

    def grid(self) -> Array:
        """A lattice of exponents, and of how they vary."""
        exponents = np.geomspace(0.05, 2.0, 14 if self.name == "interaction" else 7)
        axes = [exponents, exponents]
        if self.name == "varying":
            axes += [np.linspace(-0.4, 0.4, 5), np.linspace(-0.08, 0.08, 5)]
        return np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], axis=1)


class BoundInteraction:
    """An InteractionForm on given points: features [K, P, points]."""

    def __init__(self, features: Array) -> None:
        self.features = features
        self.K = len(features)

    def columns(self, shape: Array) -> Array:
        """X for shape [M, P]: [M, K, points]."""
        result: Array = np.exp(-np.einsum("mp,kpi->mki", shape, self.features))
        return result

    def evaluate(self, z: Array) -> tuple[Array, Array]:
        """Prediction [M, points] and its derivatives [M, K + P, points]."""
        columns = self.columns(z[:, self.K :])
        parts = z[:, : self.K, None] * columns
        slopes = -np.einsum("mki,kpi->mpi", parts, self.features)
        return parts.sum(axis=1), np.concatenate([columns, slopes], axis=1)

    def curvature(self, z: Array, jacobian: Array, weights: Array) -> Array:
        """Sum over points of weights times second derivatives of the prediction."""
        K, size = self.K, jacobian.shape[1]
        weighted = jacobian[:, :K] * weights[:, None]
        mixed = -np.einsum("mki,kpi->mkp", weighted, self.features)
        squares = self.features[:, :, None] * self.features[:, None]
        result = np.zeros((len(z), size, size))
        result[:, :K, K:] = mixed
        result[:, K:, :K] = mixed.swapaxes(1, 2)
        result[:, K:, K:] = np.einsum("mki,kpqi->mpq", z[:, :K, None] * weighted, squares)
        return result


def form_named(name: str, data: Mapping[str, Any] | None, unit: float) -> Form | None:
    """The form called `name`, None for another's; see `catalogue`."""
    if name not in LINEAR:
        return None
    return InteractionForm(name, unit if data is None else float(data["unit"]["tokens"]))
