"""Forms that a user defines: a Python function, or an expression such as

    E + a * params**-eta + c * 6**(-eta/2) * tokens**-eta

Each term is a coefficient times a function of the inputs and of shape parameters. Derivatives are
taken with a complex step, which is exact to rounding, so no gradient has to be written.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.laws.forms.differences import curvature_by_differences
from synthlaw.laws.forms.power import EXPONENT_BOUNDS, Form

Array = NDArray[np.float64]
Columns = Callable[[Mapping[str, Any], Mapping[str, Any]], list[Any]]

INPUTS = ("params", "tokens", "ratio", "unique_tokens")

_STEP = 1e-40


@dataclass(frozen=True)
class CustomForm:
    """A separable form from a function.

    columns: given inputs by name (in `unit`, shares as they are) and shape parameters by name, the
    list of columns in the order of `linear`, made of numpy operations that accept complex numbers.
    shape_bounds: (name, lowest, highest) of each shape parameter.
    """

    name: str
    linear: tuple[str, ...]
    shape_bounds: tuple[tuple[str, float, float], ...]
    inputs: tuple[str, ...]
    columns: Columns
    unit: float = 1e9

    @property
    def shape(self) -> tuple[str, ...]:
        """Names of the shape parameters."""
        return tuple(name for name, _, _ in self.shape_bounds)

    @property
    def bounds(self) -> Array:
        """[P, 2]."""
        return np.array([[low, high] for _, low, high in self.shape_bounds]).reshape(-1, 2)

    def bind(self, inputs: Mapping[str, Array], reference: Mapping[str, float]) -> BoundCustom:
        """The form on points; sizes are always measured in the form's own unit."""
        own = {
            name: inputs[name] if name == "ratio" else inputs[name] / self.unit
            for name in self.inputs
        }
        return BoundCustom(self, own)

    def scale(self, shape: Array, old: Mapping[str, float], new: Mapping[str, float]) -> Array:
        """Ones: coefficients never depend on the reference."""
        return np.ones((len(shape), len(self.linear)))

    def carriers(self, variable: str) -> tuple[int, list[int]]:
        """Nothing is known of how a user's form depends on a size."""
        raise UsageError(f"the form {self.name} is not known to be a plain power of {variable}")

    def grid(self) -> Array:
        """A product grid, even in the logarithm where the bounds are positive."""
        count = {0: 1, 1: 60, 2: 18, 3: 9}.get(len(self.shape_bounds), 5)
        axes = [
            np.geomspace(low, high, count) if low > 0 else np.linspace(low, high, count)
            for _, low, high in self.shape_bounds
        ]
        if not axes:
            return np.empty((1, 0))
        return np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], axis=1)


class BoundCustom:
    """A CustomForm on given points."""

    def __init__(self, form: CustomForm, inputs: Mapping[str, Array]) -> None:
        self.form, self.inputs = form, inputs
        self.count = len(next(iter(inputs.values())))

    def _columns(self, shape: NDArray[Any]) -> NDArray[Any]:
        values = {name: shape[:, p, None] for p, name in enumerate(self.form.shape)}
        found = self.form.columns(self.inputs, values)
        target = (len(shape), self.count)
        return np.stack([np.broadcast_to(column, target) for column in found], axis=1)

    def columns(self, shape: Array) -> Array:
        """X for shape [M, P]: [M, K, points]."""
        result: Array = self._columns(shape).astype(float)
        return result

    def evaluate(self, z: Array) -> tuple[Array, Array]:
        """Prediction [M, points] and its derivatives [M, K + P, points]."""
        K = len(self.form.linear)
        linear, shape = z[:, None, :K], z[:, K:]
        columns = self.columns(shape)
        jacobian = np.empty((len(z), z.shape[1], self.count))
        jacobian[:, :K] = columns
        for p in range(shape.shape[1]):
            moved = shape.astype(complex)
            moved[:, p] += 1j * _STEP
            slope = np.matmul(linear, self._columns(moved).imag / _STEP)
            jacobian[:, K + p] = slope[:, 0]
        return np.matmul(linear, columns)[:, 0], jacobian

    def curvature(self, z: Array, jacobian: Array, weights: Array) -> Array:
        """Sum over points of weights times second derivatives of the prediction."""
        return curvature_by_differences(self, z, weights)


_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}
_FUNCTIONS = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt}


def form_from_expression(
    text: str, unit: float = 1e9, bounds: Mapping[str, tuple[float, float]] | None = None
) -> CustomForm:
    """The form that an expression describes: a sum of `coefficient` or `coefficient * factor`.

    In a factor, params, tokens, ratio and unique_tokens are inputs; every other name is a shape
    parameter, within `bounds` or else those of an exponent. Only + - * / ** and exp, log, sqrt are
    known. Raises UsageError quoting what was found.
    """
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise UsageError(f"form {text!r}: found no expression ({error.msg})") from None
    terms = [_term(part, text) for part in _summands(tree)]
    linear = tuple(name for name, _ in terms)
    factors = [factor for _, factor in terms]
    names = [n for factor in factors for n in _names(factor, text)]
    shape = [n for n in dict.fromkeys(names) if n not in INPUTS]
    inputs = tuple(n for n in INPUTS if n in names)
    clash = set(linear) & (set(shape) | set(INPUTS))
    if len(set(linear)) < len(linear) or clash or not inputs:
        raise UsageError(
            f"form {text!r}: found coefficients {', '.join(linear)}; expected each once, at the "
            "start of its term, and at least one input such as tokens"
        )
    limits = {name: (bounds or {}).get(name, EXPONENT_BOUNDS) for name in shape}

    def columns(values: Mapping[str, Any], shapes: Mapping[str, Any]) -> list[Any]:
        known = {**values, **shapes}
        return [_evaluate(factor, known) for factor in factors]

    return CustomForm(text, linear, tuple((n, *limits[n]) for n in shape), inputs, columns, unit)


def _summands(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*_summands(node.left), *_summands(node.right)]
    return [node]


def _term(node: ast.expr, text: str) -> tuple[str, ast.expr]:
    """A term's coefficient and the factor that multiplies it."""
    if isinstance(node, ast.Name):
        return node.id, ast.Constant(1.0)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        name, left = _term(node.left, text)
        return name, ast.BinOp(left, node.op, node.right)
    raise UsageError(
        f"form {text!r}: found the term {ast.unparse(node)!r}; expected a coefficient, or a "
        "coefficient times a factor, such as B * tokens**-beta"
    )


def _names(node: ast.expr, text: str) -> list[str]:
    """Names in a factor, checked to hold nothing but known operations."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return []
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return [*_names(node.left, text), *_names(node.right, text)]
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return _names(node.operand, text)
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _FUNCTIONS
        and len(node.args) == 1
        and not node.keywords
    ):
        return _names(node.args[0], text)
    raise UsageError(
        f"form {text!r}: found {ast.unparse(node)!r}; expected numbers, names, + - * / ** and "
        "exp, log, sqrt"
    )


def _evaluate(node: ast.expr, known: Mapping[str, Any]) -> Any:
    """Value of a factor that `_names` has accepted."""
    if isinstance(node, ast.Name):
        return known[node.id]
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_evaluate(node.left, known), _evaluate(node.right, known))
    if isinstance(node, ast.UnaryOp):
        return _OPERATORS[type(node.op)](_evaluate(node.operand, known))
    assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return _FUNCTIONS[node.func.id](_evaluate(node.args[0], known))


def form_named(name: str, data: Mapping[str, Any] | None, unit: float) -> Form | None:
    """The form that an expression describes, None for a text that is none; see `catalogue`."""
    if not any(sign in name for sign in "*+ "):
        return None
    measured = unit if data is None else float(data["unit"]["tokens"])
    bounds = {k: (v[0], v[1]) for k, v in (data or {}).get("shape_bounds", {}).items()}
    return form_from_expression(name, measured, bounds)
