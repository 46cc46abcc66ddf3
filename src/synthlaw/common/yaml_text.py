"""YAML as people mean it: the core schema of YAML 1.2, with limits on what a file may ask for.

PyYAML reads YAML 1.1, where `off`, `no` and `on` are booleans, `4:00:00` is 14,400, `010` is 8 and
a date is an object. Here a boolean is `true` or `false`, and all these are text. A key given twice
is an error: the first would be lost without a word.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

from synthlaw.common.errors import UsageError

MOST_CHARACTERS = 4_000_000
MOST_NODES = 200_000
"""Of a document with its aliases written out: a few lines of them can stand for billions."""

DEEPEST = 64


def read_yaml(text: str, name: str) -> tuple[Any, yaml.Node | None]:
    """The value that `text` holds, and its tree, whose nodes know their lines.

    name: what errors call it. Raises UsageError, with the line where there is one.
    """
    if len(text) > MOST_CHARACTERS:
        raise UsageError(
            f"{name}: found {len(text):,} characters; expected at most {MOST_CHARACTERS:,}"
        )
    loader = None
    try:
        loader = _Loader(text)
        tree = loader.get_single_node()
        if tree is None:
            return None, None
        _measure(tree, name)
        return loader.construct_document(tree), tree
    except yaml.YAMLError as error:
        raise UsageError(f"{name}: not YAML ({' '.join(str(error).split())})") from error
    except RecursionError:
        raise UsageError(f"{name}: not YAML that can be read: nested too deeply") from None
    finally:
        if loader is not None:
            loader.dispose()


class _Loader(yaml.SafeLoader):
    """A safe loader with the scalars of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[Any, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.tag != "tag:yaml.org,2002:merge" and isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.YAMLError(
                        f"line {line}: the key {key.value!r} is given twice, first in line "
                        f"{seen[key.value]}; expected it once"
                    )
                seen[key.value] = line
        return super().construct_mapping(node, deep)


def _whole_number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int | str:
    text = str(loader.construct_scalar(node))
    try:
        return int(text, 0) if text.lstrip("+-")[:2].lower() in ("0x", "0o") else int(text)
    except ValueError:  # more digits than Python reads
        return text


_SCALARS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    ("merge", r"<<", ["<"]),
)
for _tag, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first
    )
_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def _measure(tree: yaml.Node, name: str) -> None:
    """Raise UsageError for a tree that is too deep or, with its aliases written out, too large."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node, depth: int) -> int:
        if depth > DEEPEST:
            line = node.start_mark.line + 1
            raise UsageError(f"{name}:{line}: nested more than {DEEPEST} deep")
        if id(node) not in sizes:
            sizes[id(node)] = MOST_NODES  # for an alias that holds itself
            parts = node.value if isinstance(node, yaml.CollectionNode) else ()
            if isinstance(node, yaml.MappingNode):
                parts = [part for pair in parts for part in pair]
            sizes[id(node)] = 1 + sum(size(part, depth + 1) for part in parts)
        return sizes[id(node)]

    if size(tree, 0) >= MOST_NODES:
        raise UsageError(
            f"{name}: stands for more than {MOST_NODES:,} values with its aliases written out, "
            "or holds itself"
        )
