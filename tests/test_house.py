"""The house's measures: functions of at most 60 lines, files of 400, 8 parameters.

What breaks them today is listed, and the lists only shrink: who mends an entry removes it.
Imports are `lint-imports`' (see pyproject.toml).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "synthlaw"
LONGEST_FUNCTION, LONGEST_FILE, MOST_PARAMETERS = 60, 400, 8

PUBLIC = ("laws/api.py", "interface/")
"""Their functions are called from Python by users, with defaults for most parameters."""

LONG_FUNCTIONS: set[str] = set()

LONG_FILES: set[str] = set()

MANY_PARAMETERS: set[str] = set()


def _files() -> Iterator[tuple[str, str]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield str(path.relative_to(SOURCE)), path.read_text(encoding="utf-8")


def _functions() -> Iterator[tuple[str, str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function as (file, name with its classes, node)."""
    for file, text in _files():
        yield from ((file, name, node) for name, node in _functions_in(ast.parse(text), ""))


def _functions_in(
    node: ast.AST, before: str
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        name = f"{before}{child.name}" if hasattr(child, "name") else before
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield name, child
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _functions_in(child, f"{name}.")
        else:
            yield from _functions_in(child, before)


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring, which may say as much as it must."""
    assert node.end_lineno is not None
    first = node.body[0]
    said = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    doc = (first.end_lineno or 0) - first.lineno + 1 if said else 0
    return node.end_lineno - node.lineno + 1 - doc


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    arguments = node.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return len([argument for argument in named if argument.arg not in ("self", "cls")])


def _is_command(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it is a click command, whose parameters are its options."""
    return any("command" in ast.unparse(decorator) for decorator in node.decorator_list)


def _check(found: set[str], allowed: set[str], rule: str) -> None:
    new, mended = sorted(found - allowed), sorted(allowed - found)
    if new:
        pytest.fail(f"{rule}: {', '.join(new)}")
    if mended:
        pytest.fail(f"no longer an offender, so remove it from the list: {', '.join(mended)}")


def test_functions_are_short() -> None:
    found = {
        f"{file}:{name}" for file, name, node in _functions() if _lines(node) > LONGEST_FUNCTION
    }
    _check(found, LONG_FUNCTIONS, f"more than {LONGEST_FUNCTION} lines")


def test_files_are_short() -> None:
    found = {file for file, text in _files() if len(text.splitlines()) > LONGEST_FILE}
    _check(found, LONG_FILES, f"more than {LONGEST_FILE} lines")


def test_parameters_are_few() -> None:
    found = {
        f"{file}:{name}"
        for file, name, node in _functions()
        if _parameters(node) > MOST_PARAMETERS
        and not file.startswith(PUBLIC)
        and not _is_command(node)
    }
    _check(found, MANY_PARAMETERS, f"more than {MOST_PARAMETERS} parameters")


def test_the_measures_see_what_breaks_them() -> None:
    doc = "'''Doc.\n\n        More.'''"
    text = f"class A:\n    async def f(self, a, *, b):\n        {doc}\n        a()\n"
    [(name, node)] = _functions_in(ast.parse(text), "")
    assert (name, _lines(node), _parameters(node)) == ("A.f", 2, 2)
    with pytest.raises(pytest.fail.Exception, match="too long: b"):
        _check({"a", "b"}, {"a"}, "too long")
    with pytest.raises(pytest.fail.Exception, match="remove it from the list: a"):
        _check(set(), {"a"}, "too long")
