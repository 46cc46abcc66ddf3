"""Row conditions of --holdout and --where: `tokens>100e9`, `params>=2B and mixture=='33HQ'`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import parse_count, read_number
from synthlaw.laws.table import Runs

Mask = NDArray[np.bool_]

_TOKEN = re.compile(
    r"\s*(?:(?P<op>>=|<=|==|!=|>|<|=|\(|\))"
    r"|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<number>[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[kKmMbBgGtT]?(?![\w.]))"
    r"|(?P<name>[A-Za-z_][\w/.\-]*))"
)
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
}


def select(runs: Runs, expression: str) -> Mask:
    """True for the runs that satisfy `expression`: comparisons joined by and, or, not, ().

    Numbers may carry suffixes (100B); columns are the variables params, tokens, loss, ratio or any
    column of the table. Raises UsageError, quoting the place, for anything else.
    """
    return _Parser(runs, expression).parse()


class _Parser:
    def __init__(self, runs: Runs, expression: str) -> None:
        self.runs, self.expression = runs, expression
        self.tokens = self._split()
        self.at = 0

    def _split(self) -> list[tuple[str, str]]:
        found, place = [], 0
        while self.expression[place:].strip():
            match = _TOKEN.match(self.expression, place)
            if match is None:
                raise self._error(self.expression[place:].strip()[:20], "a comparison")
            kind = str(match.lastgroup)
            found.append((kind, match[kind]))
            place = match.end()
        return found

    def _error(self, found: str, right: str) -> UsageError:
        return UsageError(
            f"expression {self.expression!r}: found {found!r}; expected {right}, "
            "as in tokens>100e9 or (params>=2B and mixture=='33HQ')"
        )

    def _next(self) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise self._error("the end", "a comparison")
        self.at += 1
        return self.tokens[self.at - 1]

    def _peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def parse(self) -> Mask:
        mask = self._either()
        if self.at < len(self.tokens):
            raise self._error(self._peek(), "and, or, or the end")
        return mask

    def _either(self) -> Mask:
        mask = self._both()
        while self._peek() == "or":
            self.at += 1
            mask = mask | self._both()
        return mask

    def _both(self) -> Mask:
        mask = self._one()
        while self._peek() == "and":
            self.at += 1
            mask = mask & self._one()
        return mask

    def _one(self) -> Mask:
        if self._peek() == "not":
            self.at += 1
            return ~self._one()
        if self._peek() == "(":
            self.at += 1
            mask = self._either()
            if self._next()[1] != ")":
                raise self._error(self.tokens[self.at - 1][1], "a closing parenthesis")
            return mask
        return self._comparison()

    def _comparison(self) -> Mask:
        kind, name = self._next()
        if kind != "name":
            raise self._error(name, "a column's name")
        kind, sign = self._next()
        if sign not in _COMPARE:
            raise self._error(sign, "one of > < >= <= == !=")
        kind, value = self._next()
        if kind == "op":
            raise self._error(value, "a number or a text")
        result = self._compare(name, sign, kind, value)
        return np.asarray(result, dtype=bool)

    def _compare(self, name: str, sign: str, kind: str, value: str) -> Any:
        numbers, texts = self.runs.numbers, self.runs.texts
        if kind == "number" and (name in numbers or name in texts):
            sense = -1.0 if value.startswith("-") else 1.0
            digits = value.lstrip("+-")
            number = 0.0 if float_or_none(digits) == 0 else sense * parse_count(digits, name)
            column = numbers[name] if name in numbers else _as_numbers(texts[name])
            return _COMPARE[sign](column, number)
        if name not in texts:
            known = ", ".join(dict.fromkeys([*numbers, *texts]))
            raise self._error(name, f"one of the columns {known}")
        if sign not in ("==", "=", "!="):
            raise self._error(value, "a number after an inequality")
        return _COMPARE[sign](texts[name], value.strip("'\""))


def float_or_none(text: str) -> float | None:
    """`text` as a plain number, or None."""
    try:
        return float(text)
    except ValueError:
        return None


def _as_numbers(texts: NDArray[np.str_]) -> NDArray[np.float64]:
    values = [read_number(text) for text in texts]
    return np.array([np.nan if value is None else value for value in values])
