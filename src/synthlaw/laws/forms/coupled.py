"""A joint law that couples size and data: a power of a sum, with a floor.

    L = E + A (N^-alpha + e^c D^-beta)^kappa

The form of Kaplan et al. (arXiv 2001.08361) plus E. With kappa = 1 it is the additive law; the
smaller kappa, the nearer to the larger of two powers, of the one that is short. SoftQ
(arXiv 2606.06888) couples size and data, too; its formula we have not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.laws.forms.differences import curvature_by_differences
from synthlaw.laws.forms.power import EXPONENT_BOUNDS, Form

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CoupledForm:
    """The law above, for sizes counted in `unit`."""

    unit: float = 1e9
    name: str = "coupled"
    linear: tuple[str, ...] = ("E", "A")
    shape: tuple[str, ...] = ("alpha", "beta", "c", "kappa")
    inputs: tuple[str, ...] = ("params", "tokens")

    @property
    def bounds(self) -> Array:
        """[4, 2]."""
        return np.array([EXPONENT_BOUNDS, EXPONENT_BOUNDS, (-8.0, 8.0), (0.1, 4.0)])

    def bind(self, inputs: Mapping[str, Array], reference: Mapping[str, float]) -> BoundCoupled:
        """The form on points; the reference plays no part."""
        return BoundCoupled(*(np.log(inputs[name] / self.unit) for name in self.inputs))

    def scale(self, shape: Array, old: Mapping[str, float], new: Mapping[str, float]) -> Array:
        """Ones: coefficients never depend on the reference."""
        return np.ones((len(shape), 2))

    def carriers(self, variable: str) -> tuple[int, list[int]]:
        """No size enters as one power alone."""
        raise UsageError(f"the coupled law is no plain power of {variable}")

    def grid(self) -> Array:
        """A lattice of exponents, of the weight of data, and of the power."""
        exponents = np.geomspace(0.1, 1.5, 6)
        axes = (exponents, exponents, np.linspace(-2.0, 4.0, 6), np.geomspace(0.3, 2.0, 5))
        return np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], axis=1)


class BoundCoupled:
    """A CoupledForm on given points, by the logarithms of their sizes [points]."""

    def __init__(self, params: Array, tokens: Array) -> None:
        self.n, self.d = params, tokens

    def _terms(self, shape: Array) -> tuple[Array, Array, Array]:
        """N^-alpha, e^c D^-beta and their sum to the power kappa, each [M, points]."""
        alpha, beta, c, kappa = (shape[:, p, None] for p in range(4))
        size, data = np.exp(-alpha * self.n), np.exp(c - beta * self.d)
        return size, data, (size + data) ** kappa

    def columns(self, shape: Array) -> Array:
        """X for shape [M, 4]: [M, 2, points]."""
        column = self._terms(shape)[2]
        return np.stack([np.ones_like(column), column], axis=1)

    def evaluate(self, z: Array) -> tuple[Array, Array]:
        """Prediction [M, points] and its derivatives [M, 6, points]."""
        size, data, column = self._terms(z[:, 2:])
        part = z[:, 1, None] * column
        total = size + data
        outer = z[:, 5, None] * part / total
        slopes = [-outer * size * self.n, -outer * data * self.d, outer * data]
        jacobian = [np.ones_like(column), column, *slopes, part * np.log(total)]
        return z[:, 0, None] + part, np.stack(jacobian, axis=1)

    def curvature(self, z: Array, jacobian: Array, weights: Array) -> Array:
        """Sum over points of weights times second derivatives of the prediction."""
        return curvature_by_differences(self, z, weights)


def form_named(name: str, data: Mapping[str, Any] | None, unit: float) -> Form | None:
    """The form, None for another's name; see `catalogue`."""
    if name != "coupled":
        return None
    return CoupledForm(unit if data is None else float(data["unit"]["tokens"]))
