"""Laws with the synthetic share r as a variable: L(r), L(D, r), L(N, r), L(N, D, r).

Two families compete, and held-out error decides between them:

smooth      every coefficient is a polynomial of the share in Bernstein form, so that non-negative
            control points keep E(r), A(r) and B(r) non-negative: L = E(r) + A(r)/N^a + B(r)/D^b.
            The best share may move with N and D.
additive    the additive mixture law of Shukor et al. (arXiv 2507.09404) for two sources:
            L = E + K / ((1-r)^g0 + c r^g1) + A/N^a + B/D^b. The best share is the same everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.laws.forms.power import EXPONENT_BOUNDS, Column, Form, PowerForm, Term

Array = NDArray[np.float64]

SIZES = {"n": ("params", "A", "alpha"), "d": ("tokens", "B", "beta")}
"""The size variables by their letter in a form's name: variable, coefficient, exponent."""


ADDITIVE_LEVELS = 5
"""Distinct shares that the additive law's four share parameters need, and one to check them."""


ROOT_LEVELS = 7
"""Distinct shares from which on forms in the root of the share compete."""


@dataclass(frozen=True)
class Bernstein:
    """Bernstein polynomials of degree up to `top` in s = r^power, the rows of each degree stacked.

    Row offset(d) + k is binomial(d, k) s^k (1 - s)^(d - k). power 1/2 gives small shares, where
    the paper's grid is dense, as much room as large ones.
    """

    top: int
    power: float

    @staticmethod
    def offset(degree: int) -> int:
        """The first row of `degree`."""
        return degree * (degree + 1) // 2

    def __call__(self, ratio: Array) -> Array:
        """[(top+1)(top+2)/2, points] for shares [points]."""
        s = ratio**self.power
        rows = [
            comb(d, k) * s**k * (1 - s) ** (d - k)
            for d in range(self.top + 1)
            for k in range(d + 1)
        ]
        return np.stack(rows)


def smooth_form(sizes: str, floor: int, slope: int, power: float) -> PowerForm:
    """The smooth law on `sizes` ("", "n", "d", "nd"): degree `floor` for E(r), `slope` for A, B."""
    letters = [letter for letter in "nd" if letter in sizes]
    shape = tuple(SIZES[letter][2] for letter in letters)
    terms = [Term(), *[Term(SIZES[letter][0], i) for i, letter in enumerate(letters)]]
    parts = [Column(_name("E", k, floor), 0, Bernstein.offset(floor) + k) for k in range(floor + 1)]
    for i, letter in enumerate(letters):
        parts += [
            Column(_name(SIZES[letter][1], k, slope), i + 1, Bernstein.offset(slope) + k)
            for k in range(slope + 1)
        ]
    style = "root" if power == 0.5 else "plain"
    name = f"smooth-e{floor}-s{slope}-{style}-{sizes or 'r'}"
    return PowerForm(name, shape, tuple(terms), tuple(parts), Bernstein(max(floor, slope), power))


def _name(letter: str, k: int, degree: int) -> str:
    return letter if degree == 0 else f"{letter}{k}"


@dataclass(frozen=True)
class AdditiveForm:
    """The additive mixture law for natural and synthetic text; see the module's docstring."""

    sizes: str

    @property
    def name(self) -> str:
        """Short name, kept in JSON."""
        return f"additive-{self.sizes or 'r'}"

    @property
    def letters(self) -> list[str]:
        """The size variables' letters in order."""
        return [letter for letter in "nd" if letter in self.sizes]

    @property
    def linear(self) -> tuple[str, ...]:
        """E, K, then A and B as far as their variables are read."""
        return ("E", "K", *[SIZES[letter][1] for letter in self.letters])

    @property
    def shape(self) -> tuple[str, ...]:
        """log c and both share exponents, then the size exponents."""
        return ("log_c", "g0", "g1", *[SIZES[letter][2] for letter in self.letters])

    @property
    def bounds(self) -> Array:
        """[P, 2]."""
        sizes = [EXPONENT_BOUNDS] * len(self.letters)
        return np.array([(-6.0, 6.0), (0.02, 3.0), (0.02, 3.0), *sizes])

    @property
    def inputs(self) -> tuple[str, ...]:
        """The variables read."""
        return (*[SIZES[letter][0] for letter in self.letters], "ratio")

    def bind(self, inputs: Mapping[str, Array], reference: Mapping[str, float]) -> BoundAdditive:
        """The form on points."""
        names = [SIZES[letter][0] for letter in self.letters]
        logs = [np.log(inputs[name] / reference[name]) for name in names]
        return BoundAdditive(inputs["ratio"], logs)

    def scale(self, shape: Array, old: Mapping[str, float], new: Mapping[str, float]) -> Array:
        """[M, K] factors from reference `old` to `new`."""
        factors = np.ones((len(shape), len(self.linear)))
        for i, letter in enumerate(self.letters):
            name = SIZES[letter][0]
            factors[:, 2 + i] = (old[name] / new[name]) ** shape[:, 3 + i]
        return factors

    def carriers(self, variable: str) -> tuple[int, list[int]]:
        """Index of the exponent of `variable` and the linear coefficients that it multiplies."""
        for i, letter in enumerate(self.letters):
            if SIZES[letter][0] == variable:
                return 3 + i, [2 + i]
        raise UsageError(f"the {self.name} law does not depend on {variable}")

    def grid(self) -> Array:
        """Share shapes on a coarse lattice, size exponents evenly in their logarithm."""
        axes = [np.array([-2.0, 0.0, 2.0]), np.array([0.15, 0.5, 1.3]), np.array([0.15, 0.5, 1.3])]
        axes += [np.geomspace(0.05, 1.5, 9 if len(self.letters) == 1 else 6)] * len(self.letters)
        mesh = np.meshgrid(*axes, indexing="ij")
        return np.stack([m.ravel() for m in mesh], axis=1)


class BoundAdditive:
    """An AdditiveForm on given points."""

    def __init__(self, ratio: Array, logs: list[Array]) -> None:
        self.ratio, self.logs = ratio, logs
        with np.errstate(divide="ignore"):
            self.log_natural = np.where(ratio < 1, np.log1p(-np.minimum(ratio, 1 - 1e-16)), 0.0)
            self.log_synthetic = np.where(ratio > 0, np.log(np.maximum(ratio, 1e-300)), 0.0)

    def _parts(self, shape: Array) -> tuple[Array, Array]:
        """(1-r)^g0 and c r^g1, each [M, points]."""
        natural = np.exp(shape[:, 1, None] * self.log_natural) * (self.ratio < 1)
        synthetic = np.exp(shape[:, 0, None] + shape[:, 2, None] * self.log_synthetic)
        return natural, synthetic * (self.ratio > 0)

    def columns(self, shape: Array) -> Array:
        """X for shape [M, P]: [M, K, points]."""
        out = np.ones((len(shape), 2 + len(self.logs), len(self.ratio)))
        natural, synthetic = self._parts(shape)
        out[:, 1] = 1.0 / (natural + synthetic)
        for i, log in enumerate(self.logs):
            out[:, 2 + i] = np.exp(-shape[:, 3 + i, None] * log)
        return out

    def evaluate(self, z: Array) -> tuple[Array, Array]:
        """Prediction [M, points] and its derivatives [M, K + P, points]."""
        K = 2 + len(self.logs)
        linear, shape = z[:, :K], z[:, K:]
        columns = self.columns(shape)
        jacobian = np.zeros((len(z), 2 * K + 1, len(self.ratio)))
        jacobian[:, :K] = columns
        natural, synthetic = self._parts(shape)
        slope = -linear[:, 1, None] * columns[:, 1] ** 2
        jacobian[:, K] = slope * synthetic
        jacobian[:, K + 1] = slope * natural * self.log_natural
        jacobian[:, K + 2] = slope * synthetic * self.log_synthetic
        for i, log in enumerate(self.logs):
            jacobian[:, K + 3 + i] = -linear[:, 2 + i, None] * columns[:, 2 + i] * log
        predicted = np.matmul(linear[:, None, :], columns)[:, 0]
        return predicted, jacobian

    def curvature(self, z: Array, jacobian: Array, weights: Array) -> Array:
        """Sum over points of weights times second derivatives of the prediction."""
        K = 2 + len(self.logs)
        size = 2 * K + 1
        result = np.zeros((len(z), size, size))
        natural, synthetic = self._parts(z[:, K:])
        inverse = jacobian[:, 1]
        # u = natural + synthetic; first[i] = du/dshape_i, second[i, j] its derivative.
        first = [synthetic, natural * self.log_natural, synthetic * self.log_synthetic]
        second = {
            (0, 0): synthetic,
            (0, 2): first[2],
            (1, 1): first[1] * self.log_natural,
            (2, 2): first[2] * self.log_synthetic,
        }
        pull = weights * inverse**2
        for i in range(3):
            self._add(result, 1, K + i, -(pull * first[i]).sum(axis=1))
            for j in range(i, 3):
                bend = 2 * first[i] * first[j] * inverse - second.get((i, j), 0.0)
                self._add(result, K + i, K + j, z[:, 1] * (pull * bend).sum(axis=1))
        for i, log in enumerate(self.logs):
            moment = weights * log * jacobian[:, 2 + i]
            self._add(result, 2 + i, K + 3 + i, -moment.sum(axis=1))
            self._add(result, K + 3 + i, K + 3 + i, z[:, 2 + i] * (moment @ log))
        return result

    @staticmethod
    def _add(table: Array, row: int, column: int, values: Array) -> None:
        """Set a symmetric pair of entries."""
        table[:, row, column] = table[:, column, row] = values


def candidates(sizes: str, levels: int) -> list[Form]:
    """The forms that compete, for runs at `levels` distinct shares, simplest first in each family.

    A polynomial of degree d needs d + 1 shares, and one more to be checked; with fewer it could
    put a minimum between two shares that no run has seen.
    """
    highest = {0: 0, 1: 0, 2: 1, 3: 2, 4: 2}.get(levels, 3)
    found: list[Form] = []
    # The root resolves small shares; with a coarse grid it would only invent detail there.
    for power in (1.0, 0.5) if levels >= ROOT_LEVELS else (1.0,):
        for floor in sorted({min(2, highest), highest}):
            slopes = range(min(2, floor) + 1) if sizes else range(1)
            found += [smooth_form(sizes, floor, slope, power) for slope in slopes]
    return [*found, AdditiveForm(sizes)] if levels >= ADDITIVE_LEVELS else found


_SMOOTH = re.compile(r"smooth-e(\d)-s(\d)-(root|plain)-(r|n|d|nd)")
_ADDITIVE = re.compile(r"additive-(r|n|d|nd)")


def form_named(name: str, data: Mapping[str, Any] | None, unit: float) -> Form | None:
    """The form whose name this is, or None; see `catalogue`."""
    if match := _SMOOTH.fullmatch(name):
        sizes = match[4].replace("r", "")
        return smooth_form(sizes, int(match[1]), int(match[2]), 0.5 if match[3] == "root" else 1.0)
    if match := _ADDITIVE.fullmatch(name):
        return AdditiveForm(match[1].replace("r", ""))
    return None
