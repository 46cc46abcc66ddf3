"""Conditions on a document's columns: `language == 'en' and rps_doc_word_count >= 50`.

A condition is read as a Python expression of which only this is allowed: columns by name,
numbers, strings, True and False; comparisons (also chained), `in` with a list; and, or, not;
+ - * /; and brackets. Nothing is ever evaluated as code. A comparison with a missing value is
false.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from synthlaw.common.errors import UsageError

Row = Mapping[str, Any]
_Value = Callable[[Row], Any]

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, among: value in among,
    ast.NotIn: lambda value, among: value not in among,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_ALLOWED = "columns, numbers, strings, comparisons, in [...], and, or, not, + - * /"


class Condition:
    """A condition that documents are tested with."""

    def __init__(self, text: str) -> None:
        """Raises UsageError, saying what is not allowed, when `text` is no condition."""
        self.text = text
        self.columns: set[str] = set()
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise UsageError(f"condition {text!r}: not an expression ({error})") from None
        self._value = self._compile(tree.body)

    def __call__(self, row: Row) -> bool:
        """Whether the row with these columns fulfils it. A column that a row lacks is missing.

        Raises UsageError when values of different kinds are compared.
        """
        try:
            return bool(self._value(row))
        except TypeError as error:
            values = {name: row.get(name) for name in sorted(self.columns)}
            raise UsageError(f"condition {self.text!r}: {error}; found {values}") from None
        except ZeroDivisionError:
            return False

    def check(self, known: set[str]) -> None:
        """Raise UsageError if it names a column that no document has."""
        unknown = sorted(self.columns - known)
        if unknown:
            raise UsageError(
                f"condition {self.text!r}: found the column {unknown[0]!r}, which no document has; "
                f"expected one of {', '.join(sorted(known))}"
            )

    def _compile(self, node: ast.expr) -> _Value:  # noqa: PLR0911  one return for each kind
        match node:
            case ast.Constant(value=bool() | int() | float() | str()):
                constant = node.value
                return lambda row: constant
            case ast.Name():
                name = node.id
                self.columns.add(name)
                return lambda row: row.get(name)
            case ast.List() | ast.Tuple():
                items = [self._compile(item) for item in node.elts]
                return lambda row: [item(row) for item in items]
            case ast.BoolOp():
                parts = [self._compile(part) for part in node.values]
                every = all if isinstance(node.op, ast.And) else any
                return lambda row: every(part(row) for part in parts)
            case ast.UnaryOp(op=ast.Not()):
                inner = self._compile(node.operand)
                return lambda row: not inner(row)
            case ast.UnaryOp(op=ast.USub()):
                inner = self._compile(node.operand)
                return lambda row: None if (value := inner(row)) is None else -value
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                left, right = self._compile(node.left), self._compile(node.right)
                return _both(_ARITHMETIC[type(node.op)], left, right, None)
            case ast.Compare() if all(type(op) in _COMPARISONS for op in node.ops):
                return self._comparison(node)
        raise UsageError(
            f"condition {self.text!r}: found {ast.unparse(node)!r}; expected only {_ALLOWED}"
        )

    def _comparison(self, node: ast.Compare) -> _Value:
        values = [self._compile(value) for value in (node.left, *node.comparators)]
        tests = [
            _both(_COMPARISONS[type(op)], left, right, False)
            for op, left, right in zip(node.ops, values[:-1], values[1:], strict=True)
        ]
        return lambda row: all(test(row) for test in tests)


def _both(
    function: Callable[[Any, Any], Any], left: _Value, right: _Value, missing: object
) -> _Value:
    """`function` of two values; `missing` when one of them is."""

    def value(row: Row) -> Any:
        one, other = left(row), right(row)
        return missing if one is None or other is None else function(one, other)

    return value
