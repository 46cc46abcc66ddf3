"""Hooks of the documentation site: reference pages from the program itself, links into the tree.

The commands' page is what `--help` prints; the study file's page is walked from the types that
check it. Neither can differ from the program.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from typing import Any

import click
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from synthlaw.cli.main import COMMANDS, cli
from synthlaw.study.spec import Study

OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+((?:src|benchmarks|tests|examples)/[^)]*)\)")
"""Links from a page to a file of the tree, which the site does not hold."""

COUNT = "count, such as 7B"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Name files of the tree where the site cannot link to them."""
    return OUTSIDE.sub(r"`\2`", markdown)


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    for name, content in (("commands", commands_page()), ("study-file", study_page())):
        files.append(File.generated(config, f"reference/{name}.md", content=content))
    return files


def commands_page() -> str:
    """Every command's help, as it is printed."""
    parts = ["# Commands", "Each is what `synthlaw COMMAND --help` prints."]
    context = click.Context(cli, info_name="synthlaw")
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        inner = click.Context(
            command, parent=context, info_name=name, max_content_width=96, terminal_width=96
        )
        parts.append(f"## {name}\n\n```text\n{command.get_help(inner)}\n```")
    return "\n\n".join(parts) + "\n"


def study_page() -> str:
    """Every key of the study file: its type, its default, what it is for."""
    parts = [
        "# The study file",
        "YAML. Unknown keys are errors. `NAME` stands for a name of your own.",
    ]
    for path, model in models():
        about = " ".join((model.__doc__ or "").split())
        parts += [f"## {path or 'The whole file'}", about]
        rows = ["| key | type | default | |", "|---|---|---|---|"]
        for name, field in model.model_fields.items():
            cells = (f"`{name}`", field_kind(field), default(field), field.description or "")
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


def models() -> Iterator[tuple[str, type[BaseModel]]]:
    """Every part of the study file with its place, outer parts first."""
    waiting: list[tuple[str, type[BaseModel]]] = [("", Study)]
    while waiting:
        path, model = waiting.pop(0)
        yield path, model
        for name, field in model.model_fields.items():
            place = f"{path}.{name}" if path else name
            waiting += [(place + step, inner) for step, inner in parts_of(field.annotation)]


def parts_of(annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """Models inside an annotation, each with the step that leads to it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield "", annotation
        return
    inner = typing.get_args(annotation)
    if typing.get_origin(annotation) is dict:
        yield from ((f".NAME{step}", model) for step, model in parts_of(inner[1]))
    else:
        for argument in inner:
            yield from parts_of(argument)


def field_kind(field: FieldInfo) -> str:
    """A field's type in words; a count is told by the validator that reads it."""
    counted = any("count" in repr(one) for one in field.metadata)
    return COUNT if counted else kind(field.annotation)


def kind(annotation: Any) -> str:
    """A type in words."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin is typing.Annotated:
        counted = any("count" in repr(one) for one in annotation.__metadata__)
        return COUNT if counted else kind(inner[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(kind(one) for one in inner if one is not type(None)))
    if origin in (list, tuple, dict):
        return f"by NAME: {kind(inner[1])}" if origin is dict else f"list of {kind(inner[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "keys (below)"
    words = {int: "whole number", float: "number", str: "text", bool: "true or false"}
    return words.get(annotation, getattr(annotation, "__name__", str(annotation)))


def default(field: FieldInfo) -> str:
    """A field's default as a file would say it; "required" where there is none."""
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined or isinstance(value, BaseModel):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(str, value)) + "]"
    if isinstance(value, float):
        return f"{value:g}" if abs(value) < 1e5 else str(round(value))
    return str(value)
