"""What every part of the study file is made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import parse_count

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


Count = Annotated[float, BeforeValidator(_count)]
"""A positive count, written 7B, 50k, 1.5e12 or plainly."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$")]
"""A name that is safe as part of a file name."""


class Part(BaseModel):
    """A part of the study file: unknown keys are errors."""

    # A name may look like a number; a number may not be infinite.
    model_config = ConfigDict(
        extra="forbid", frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False
    )
