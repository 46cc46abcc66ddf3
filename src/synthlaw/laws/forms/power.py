"""Functional forms of a scaling law: non-negative linear coefficients times power-law columns.

Every law here is *separable*: once the shape parameters (exponents and the like) are fixed, the
loss is a linear combination of known columns with coefficients that must not be negative. The
fit uses this twice, for a grid that needs no starting point and for exact derivatives.

    loss_i = sum_k c_k X_k(i; shape),   c_k >= 0

Inputs are natural logarithms of the run's variables, divided by a reference (the smallest value
in the table while fitting, the law's unit when predicting), so that columns stay of order one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError

Array = NDArray[np.float64]

EXPONENT_BOUNDS = (0.005, 3.0)
"""Exponents outside are a constant, or a step between the two smallest values: not a law."""


class Bound(Protocol):
    """A form on given inputs. z is [starts, K + P]: linear coefficients, then shape."""

    def columns(self, shape: Array) -> Array:
        """X for shape [M, P]: [M, K, points]."""

    def evaluate(self, z: Array) -> tuple[Array, Array]:
        """Prediction [M, points] and its derivatives [M, K + P, points] for z [M, K + P]."""

    def curvature(self, z: Array, jacobian: Array, weights: Array) -> Array:
        """Sum over points of weights [M, points] times second derivatives: [M, K+P, K+P]."""


class Form(Protocol):
    """A law's functional form; see the module's docstring."""

    @property
    def name(self) -> str:
        """Short name, kept in JSON."""

    @property
    def linear(self) -> tuple[str, ...]:
        """Names of the non-negative linear coefficients, "E..." first."""

    @property
    def shape(self) -> tuple[str, ...]:
        """Names of the shape parameters."""

    @property
    def bounds(self) -> Array:
        """[P, 2] lowest and highest shape parameters."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The run variables that the form reads: params, tokens, ratio, unique_tokens."""

    def bind(self, inputs: Mapping[str, Array], reference: Mapping[str, float]) -> Bound:
        """The form on points; `inputs` are plain values, `reference` what sizes are divided by."""

    def scale(self, shape: Array, old: Mapping[str, float], new: Mapping[str, float]) -> Array:
        """[M, K] factors that carry linear coefficients from reference `old` to `new`."""

    def carriers(self, variable: str) -> tuple[int, list[int]]:
        """Index of the exponent of `variable` and the linear coefficients that it multiplies."""

    def grid(self) -> Array:
        """[G, P] shape parameters to start from."""


@dataclass(frozen=True)
class Term:
    """One power of one size variable: variable^(-exponent); no variable means a constant."""

    variable: str | None = None
    exponent: int = -1


@dataclass(frozen=True)
class Column:
    """One linear coefficient: its name, its term, and the degree index of its ratio basis."""

    name: str
    term: int
    basis: int = -1


@dataclass(frozen=True)
class PowerForm:
    """Columns that are a power of one variable, each times an optional function of the ratio.

    `ratio_basis` maps shares [points] to [degree + 1, points], all non-negative; columns with
    `basis` >= 0 are multiplied by that row of it. Covers the data, model and joint laws, tied
    exponents, and the laws whose coefficients vary smoothly with the synthetic share.
    """

    name: str
    shape: tuple[str, ...]
    terms: tuple[Term, ...]
    parts: tuple[Column, ...]
    ratio_basis: RatioBasis | None = None
    exponent_bounds: tuple[float, float] = EXPONENT_BOUNDS
    linear: tuple[str, ...] = field(init=False)
    inputs: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = [term.variable for term in self.terms if term.variable is not None]
        names += ["ratio"] if self.ratio_basis is not None else []
        object.__setattr__(self, "linear", tuple(part.name for part in self.parts))
        object.__setattr__(self, "inputs", tuple(dict.fromkeys(names)))

    @property
    def bounds(self) -> Array:
        """[P, 2]: every shape parameter is an exponent."""
        return np.tile(np.asarray(self.exponent_bounds), (len(self.shape), 1))

    def bind(self, inputs: Mapping[str, Array], reference: Mapping[str, float]) -> BoundPower:
        """The form on points; sizes are divided by `reference`."""
        count = len(next(iter(inputs.values())))
        logs = [
            None
            if term.variable is None
            else np.log(inputs[term.variable] / reference[term.variable])
            for term in self.terms
        ]
        basis = None
        if self.ratio_basis is not None:
            table = self.ratio_basis(inputs["ratio"])
            basis = np.stack(
                [table[p.basis] if p.basis >= 0 else np.ones(count) for p in self.parts]
            )
        return BoundPower(self, count, logs, basis)

    def scale(self, shape: Array, old: Mapping[str, float], new: Mapping[str, float]) -> Array:
        """[M, K] factors from reference `old` to `new`: (old / new)^exponent per column."""
        factors = np.ones((len(shape), len(self.parts)))
        for k, part in enumerate(self.parts):
            term = self.terms[part.term]
            if term.variable is not None:
                ratio = old[term.variable] / new[term.variable]
                factors[:, k] = ratio ** shape[:, term.exponent]
        return factors

    def carriers(self, variable: str) -> tuple[int, list[int]]:
        """Index of the exponent of `variable` and the linear coefficients that it multiplies.

        Raises UsageError when the form does not read `variable`.
        """
        for t, term in enumerate(self.terms):
            if term.variable == variable:
                return term.exponent, [k for k, part in enumerate(self.parts) if part.term == t]
        raise UsageError(f"the {self.name} law does not depend on {variable}")

    def grid(self) -> Array:
        """A product grid, even in the logarithm of each exponent."""
        if not self.shape:
            return np.empty((1, 0))
        low, high = 0.03, 0.8 * self.exponent_bounds[1]
        count = {1: 40, 2: 18, 3: 9}.get(len(self.shape), 6)
        axis = np.geomspace(low, high, count)
        mesh = np.meshgrid(*[axis] * len(self.shape), indexing="ij")
        return np.stack([m.ravel() for m in mesh], axis=1)


class RatioBasis(Protocol):
    """Non-negative functions of the synthetic share: [points] to [degree + 1, points]."""

    def __call__(self, ratio: Array) -> Array: ...


class BoundPower:
    """A PowerForm on given points."""

    def __init__(
        self, form: PowerForm, count: int, logs: list[Array | None], basis: Array | None
    ) -> None:
        self.form, self.count, self.logs, self.basis = form, count, logs, basis
        self.K = len(form.parts)
        self.P = len(form.shape)
        self.members = [
            [k for k, part in enumerate(form.parts) if part.term == t]
            for t in range(len(form.terms))
        ]

    def _fill(self, shape: Array, out: Array) -> None:
        """Write the columns for shape [M, P] into out [M, K, points]."""
        for t, term in enumerate(self.form.terms):
            log = self.logs[t]
            if log is None:
                power: Array | float = 1.0
            else:
                power = np.exp(-shape[:, term.exponent, None] * log)
            for k in self.members[t]:
                out[:, k] = power if self.basis is None else power * self.basis[k]

    def columns(self, shape: Array) -> Array:
        """X for shape [M, P]: [M, K, points]."""
        out = np.empty((len(shape), self.K, self.count))
        for t, term in enumerate(self.form.terms):
            log = self.logs[t]
            if log is None:
                power: Array | float = 1.0
            else:
                # A product grid repeats each exponent many times: exponentiate it once.
                exponents, place = np.unique(shape[:, term.exponent], return_inverse=True)
                power = np.exp(-exponents[:, None] * log)[place.reshape(-1)]
            for k in self.members[t]:
                out[:, k] = power if self.basis is None else power * self.basis[k]
        return out

    def evaluate(self, z: Array) -> tuple[Array, Array]:
        """Prediction [M, points] and its derivatives [M, K + P, points]."""
        jacobian = np.empty((len(z), self.K + self.P, self.count))
        self._fill(z[:, self.K :], jacobian[:, : self.K])
        jacobian[:, self.K :] = 0.0
        predicted = np.zeros((len(z), self.count))
        for t, term in enumerate(self.form.terms):
            part = self._part(z, jacobian, t)
            predicted += part
            log = self.logs[t]
            if log is not None:
                jacobian[:, self.K + term.exponent] -= log * part
        return predicted, jacobian

    def _part(self, z: Array, jacobian: Array, t: int) -> Array:
        """The share of the prediction that term t carries: [M, points]."""
        first, *rest = self.members[t]
        part: Array = z[:, first, None] * jacobian[:, first]
        for k in rest:
            part += z[:, k, None] * jacobian[:, k]
        return part

    def curvature(self, z: Array, jacobian: Array, weights: Array) -> Array:
        """Sum over points of weights times second derivatives of the prediction."""
        size = self.K + self.P
        result = np.zeros((len(z), size, size))
        for t, term in enumerate(self.form.terms):
            log = self.logs[t]
            if log is None:
                continue
            p = self.K + term.exponent
            moment = weights * log
            part = np.zeros(len(z))
            for k in self.members[t]:
                cross = np.einsum("mi,mi->m", moment, jacobian[:, k])
                result[:, k, p] -= cross
                result[:, p, k] -= cross
                part += z[:, k] * np.einsum("mi,mi->m", moment * log, jacobian[:, k])
            result[:, p, p] += part
        return result


DATA = PowerForm("data", ("beta",), (Term(), Term("tokens", 0)), (Column("E", 0), Column("B", 1)))
"""L(D) = B / D^beta + E: the paper's data law; E contains the model-size term."""

MODEL = PowerForm(
    "model", ("alpha",), (Term(), Term("params", 0)), (Column("E", 0), Column("A", 1))
)
"""L(N) = A / N^alpha + E: the paper's model law; E contains the data term."""

JOINT = PowerForm(
    "joint",
    ("alpha", "beta"),
    (Term(), Term("params", 0), Term("tokens", 1)),
    (Column("E", 0), Column("A", 1), Column("B", 2)),
)
"""L(N, D) = A / N^alpha + B / D^beta + E (Hoffmann et al., arXiv 2203.15556)."""

TIED = PowerForm(
    "tied",
    ("alpha",),
    (Term(), Term("params", 0), Term("tokens", 0)),
    (Column("E", 0), Column("A", 1), Column("B", 2)),
)
"""The joint law with one exponent for both sizes (Gadre et al., arXiv 2403.08540)."""

FORMS: tuple[Form, ...] = (DATA, MODEL, JOINT, TIED)
"""The forms of this module by name; see `catalogue`."""
