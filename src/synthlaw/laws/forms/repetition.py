"""Repeated data: the law of Muennighoff et al. (arXiv 2305.16264) and effective tokens.

    L = E + A / N'^alpha + B / D'^beta
    D' = U_D + U_D R_D* (1 - exp(-R_D / R_D*)),   R_D = max(D / U_D - 1, 0)
    N' = U_N + U_N R_N* (1 - exp(-R_N / R_N*)),   R_N = max(N / U_N - 1, 0)

U_D counts unique tokens; U_N = min(N, the parameters that the single-epoch law finds optimal for
U_D). The single-epoch coefficients come first, from runs that repeat nothing; only the two decay
constants R_D* and R_N* are then fitted, as in the source.
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

PUBLISHED_DECAY = 15.387756
"""R_D* as published. Values from 15 to beyond 200 fit the published runs within 0.2%, so this is
the cautious end: repeating is worth at least this much."""

DECAY_BOUNDS = (0.05, 2000.0)
"""Below, repetition is worthless; above, a repeated token is as good as a new one."""


def effective_tokens(tokens: float, unique: float, decay: float = PUBLISHED_DECAY) -> float:
    """Fresh tokens worth as much as `tokens` drawn from `unique` ones (same unit as both)."""
    if unique <= 0:
        return 0.0
    if tokens <= unique:
        return tokens
    repeats = tokens / unique - 1
    return float(unique * (1 - decay * np.expm1(-repeats / decay)))


@dataclass(frozen=True)
class RepetitionForm:
    """The law above. `base` holds E, A, B, alpha, beta for sizes counted in `unit`."""

    base: tuple[tuple[str, float], ...]
    unit: float

    @property
    def name(self) -> str:
        """Short name, kept in JSON."""
        return "repetition"

    @property
    def linear(self) -> tuple[str, ...]:
        """Names of the non-negative linear coefficients."""
        return ("E", "A", "B")

    @property
    def shape(self) -> tuple[str, ...]:
        """Exponents, then the two decay constants (in epochs)."""
        return ("alpha", "beta", "R_N", "R_D")

    @property
    def bounds(self) -> Array:
        """[4, 2]."""
        return np.array([EXPONENT_BOUNDS, EXPONENT_BOUNDS, DECAY_BOUNDS, DECAY_BOUNDS])

    @property
    def inputs(self) -> tuple[str, ...]:
        """The variables read."""
        return ("params", "tokens", "unique_tokens")

    def optimal_params(self, tokens: Array) -> Array:
        """Parameters (plain count) that the single-epoch law finds optimal for `tokens`."""
        law = dict(self.base)
        alpha, beta = law["alpha"], law["beta"]
        G = (alpha * law["A"] / (beta * law["B"])) ** (1 / (alpha + beta))
        result: Array = self.unit * G * (tokens / self.unit * G) ** (beta / alpha)
        return result

    def bind(self, inputs: Mapping[str, Array], reference: Mapping[str, float]) -> BoundRepetition:
        """The form on points."""
        params, tokens, unique = (inputs[name] for name in self.inputs)
        fresh_tokens = np.minimum(unique, tokens)
        fresh_params = np.minimum(params, self.optimal_params(unique))
        return BoundRepetition(
            fresh_params / reference["params"],
            fresh_tokens / reference["tokens"],
            np.maximum(params / fresh_params - 1, 0.0),
            np.maximum(tokens / fresh_tokens - 1, 0.0),
        )

    def scale(self, shape: Array, old: Mapping[str, float], new: Mapping[str, float]) -> Array:
        """[M, 3] factors from reference `old` to `new`."""
        factors = np.ones((len(shape), 3))
        factors[:, 1] = (old["params"] / new["params"]) ** shape[:, 0]
        factors[:, 2] = (old["tokens"] / new["tokens"]) ** shape[:, 1]
        return factors

    def carriers(self, variable: str) -> tuple[int, list[int]]:
        """No size enters as a plain power once data repeat."""
        raise UsageError(f"the repetition law is no plain power of {variable}")

    def grid(self) -> Array:
        """A lattice of exponents and decay constants."""
        exponents = np.geomspace(0.1, 1.2, 6)
        decays = np.geomspace(0.3, 600.0, 14)
        mesh = np.meshgrid(exponents, exponents, decays, decays, indexing="ij")
        return np.stack([m.ravel() for m in mesh], axis=1)


class BoundRepetition:
    """A RepetitionForm on given points: fresh sizes [points] and repeats [points]."""

    def __init__(
        self, params: Array, tokens: Array, params_repeats: Array, tokens_repeats: Array
    ) -> None:
        self.fresh = (params, tokens)
        self.repeats = (params_repeats, tokens_repeats)

    def _effective(self, i: int, shape: Array) -> tuple[Array, Array]:
        """Effective size and its derivative by the decay constant, each [M, points]."""
        decay = shape[:, 2 + i, None]
        x = self.repeats[i] / decay
        worth = -decay * np.expm1(-x)
        slope = -np.expm1(-x) - x * np.exp(-x)
        return self.fresh[i] * (1 + worth), self.fresh[i] * slope

    def columns(self, shape: Array) -> Array:
        """X for shape [M, 4]: [M, 3, points]."""
        out = np.ones((len(shape), 3, len(self.fresh[0])))
        for i in range(2):
            size, _ = self._effective(i, shape)
            out[:, 1 + i] = size ** -shape[:, i, None]
        return out

    def evaluate(self, z: Array) -> tuple[Array, Array]:
        """Prediction [M, points] and its derivatives [M, 7, points]."""
        linear, shape = z[:, :3], z[:, 3:]
        columns = self.columns(shape)
        jacobian = np.zeros((len(z), 7, len(self.fresh[0])))
        jacobian[:, :3] = columns
        for i in range(2):
            size, slope = self._effective(i, shape)
            part = linear[:, 1 + i, None] * columns[:, 1 + i]
            jacobian[:, 3 + i] = -part * np.log(size)
            jacobian[:, 5 + i] = -part * shape[:, i, None] * slope / size
        predicted = np.matmul(linear[:, None, :], columns)[:, 0]
        return predicted, jacobian

    def curvature(self, z: Array, jacobian: Array, weights: Array) -> Array:
        """Sum over points of weights times second derivatives of the prediction."""
        return curvature_by_differences(self, z, weights)


def form_named(name: str, data: Mapping[str, Any] | None, unit: float) -> Form | None:
    """The repetition form of a law's JSON, which keeps its single-epoch law; see `catalogue`."""
    if name != "repetition" or data is None:
        return None
    return RepetitionForm(tuple(data["base"].items()), float(data["unit"]["tokens"]))
