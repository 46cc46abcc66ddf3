"""What every typed setting is made of, in a study file, on the command line and in Python.

A subject has one model: its fields are the keys of a part of the study file, the options of a
command (cli/derived_options.py) and the entries of the JSON schema (`synthlaw schema`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import parse_count

M = TypeVar("M", bound=BaseModel)

MOST = 1e18
"""Beyond all tokens and FLOP per second that there are; 64 bits hold it."""


def _count(value: Any) -> float:
    try:
        number = parse_count(value)
    except (UsageError, TypeError) as error:
        raise ValueError(f"found {value!r}; expected a count such as 7B, 50k or 1.5e12") from error
    if number > MOST:
        raise ValueError(f"found {value!r}; expected at most {MOST:g}")
    return number


def _whole_count(value: Any) -> int:
    number = _count(value)
    if number != int(number):
        raise ValueError(f"found {value!r}; expected a whole number")
    return int(number)


Count = Annotated[float, BeforeValidator(_count, json_schema_input_type=float | str)]
"""A positive count, written 7B, 50k, 1.5e12 or plainly."""

WholeCount = Annotated[int, BeforeValidator(_whole_count, json_schema_input_type=int | str)]
"""A count that is a whole number."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$")]
"""A name that is safe as part of a file name."""


class Settings(BaseModel):
    """The settings of one subject: unknown keys are errors."""

    # A name may look like a number; a number may not be infinite.
    model_config = ConfigDict(
        extra="forbid", frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False
    )


def mistake_message(mistake: Mapping[str, Any]) -> str:
    """What one error of a validation found and expected; mistake: of `ValidationError.errors()`."""
    message = str(mistake["msg"]).removeprefix("Value error, ")
    found = mistake.get("input")
    if mistake["type"] in ("list_type", "tuple_type"):
        return f"found {found!r}; expected a list, such as [{found}]"
    if mistake["type"] in ("model_type", "dict_type", "model_attributes_type"):
        return f"found {found!r}; expected keys with values, such as {{key: value}}"
    if mistake["type"] != "value_error" and not isinstance(found, dict | list | BaseModel):
        message = f"found {found!r}; {message[:1].lower()}{message[1:]}"
    return message


def validated(model: type[M], values: Mapping[str, Any], called: Callable[[str], str] = str) -> M:
    """`model(**values)`. called: what users call a field.

    Raises UsageError that names every wrong field, what was found and what would be right.
    """
    try:
        return model(**values)
    except ValidationError as error:
        said = []
        for mistake in error.errors():
            place = f"{called(str(mistake['loc'][0]))}: " if mistake["loc"] else ""
            said.append(place + mistake_message(mistake))
        raise UsageError("; ".join(said)) from None
