"""Options made from a model of settings, so that a setting is written once.

A field `learning_rate` becomes `--learning-rate`, with the field's type, description and default.
What is given is validated by the model, in the words that a study file's mistakes are told in.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import wraps
from typing import Any, Literal, TypeVar

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from synthlaw.common.settings import validated

M = TypeVar("M", bound=BaseModel)


def settings_options(
    model: type[BaseModel],
    argument: str,
    *,
    only: Collection[str] | None = None,
    without: Collection[str] = (),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command an option for each field of `model`.

    argument: the parameter by which the command takes what was given, a dictionary by field.
    only, without: fields that become options, and fields that do not.
    """
    names = [n for n in model.model_fields if n not in without and (only is None or n in only)]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def gathered(**values: Any) -> Any:
            said = given({name: values.pop(name) for name in names}, names)
            return command(**{argument: said}, **values)

        for name in reversed(names):
            gathered = field_option(model, name)(gathered)
        return gathered

    return decorate


def given(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Of the options' values those that were given, by field."""
    return {name: values[name] for name in names if values[name] not in (None, ())}


def field_option(model: type[BaseModel], name: str, flag: str = "") -> Callable[[Any], Any]:
    """The option of one field; None, or nothing of many, where it is not given.

    flag: its name, where it is not the field's.
    """
    field = model.model_fields[name]
    flag = flag or f"--{name.replace('_', '-')}"
    kind, many = _kind(field.annotation)
    text = _sentence(field.description or "")
    if kind is bool:
        return click.option(flag, name, is_flag=True, default=None, help=text)
    default = field.get_default(call_default_factory=True)
    shown = "" if default in (None, (), {}, [], "") else f"  [default: {default}]"
    return click.option(
        flag,
        name,
        type=_counted(field) or kind,
        multiple=many,
        metavar="NAME[=VALUE]" if typing.get_origin(field.annotation) is dict else None,
        help=f"{text}{' Repeatable.' if many else ''}{shown}",
    )


def _sentence(text: str) -> str:
    """A description as a sentence; `auto:` and torch.compile keep their first letters."""
    first = text.split(" ", 1)[0]
    text = f"{text[:1].upper()}{text[1:]}" if first.replace("'", "").isalpha() else text
    return text if text.endswith(".") else f"{text}."


def _counted(field: FieldInfo) -> click.ParamType | None:
    """Text, where a field's validator reads counts such as 1M."""
    counted = any("_count" in repr(one) for one in field.metadata) or "_count" in repr(
        field.annotation
    )
    return _Count() if counted else None


class _Count(click.ParamType):
    """A count as it is written, read by the field's own validator."""

    name = "COUNT"


def _kind(annotation: Any) -> tuple[Any, bool]:
    """What click reads for an annotation, and whether the option may be repeated."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        inner = [one for one in typing.get_args(annotation) if one is not type(None)]
        return _kind(inner[0])
    if typing.get_origin(annotation) is dict:
        return str, True
    if typing.get_origin(annotation) in (list, tuple):
        return _kind(typing.get_args(annotation)[0])[0], True
    if typing.get_origin(annotation) is typing.Annotated:
        return _kind(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) is Literal:
        return click.Choice([str(value) for value in typing.get_args(annotation)]), False
    return annotation, False


def checked(model: type[M], values: dict[str, Any]) -> M:
    """`model(**values)`. Raises UsageError in the words of options for what does not fit."""
    return validated(model, values, lambda field: f"--{field.replace('_', '-')}")
