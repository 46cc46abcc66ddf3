"""Options that come from a model of settings: one definition, the same words for mistakes."""

from __future__ import annotations

from typing import Any, Literal

import click
import pytest
from click.testing import CliRunner
from pydantic import Field

from synthlaw.cli.derived_options import checked, settings_options
from synthlaw.common.errors import UsageError
from synthlaw.common.settings import Count, Settings


class Kiln(Settings):
    """Settings of every type that a model may have."""

    heat: float = Field(900.0, gt=0, description="degrees at the end")
    steps: int | None = Field(None, ge=1, description="of the program; default: two")
    bricks: Count = Field(1e3, description="how many")
    fuel: Literal["wood", "gas"] = Field("gas", description="what burns")
    tags: tuple[str, ...] = Field((), description="for the log")
    slow: bool = Field(False, description="auto: never")


def call(*arguments: str) -> tuple[Any, str]:
    """What the command was given, and what it printed."""
    taken: list[Any] = []

    @click.command()
    @settings_options(Kiln, "kiln")
    def fire(kiln: dict[str, Any]) -> None:
        taken.append(kiln)

    result = CliRunner().invoke(fire, arguments)
    return (taken[0] if taken else None), result.output


def test_only_what_is_given_is_passed_on() -> None:
    assert call()[0] == {}
    words = "--heat 1e3 --steps 2 --bricks 5k --fuel wood --tags a --tags b --slow"
    given, _ = call(*words.split())
    assert checked(Kiln, given) == Kiln(
        heat=1000, steps=2, bricks=5000, fuel="wood", tags=("a", "b"), slow=True
    )


def test_help_tells_type_description_and_default() -> None:
    _, said = call("--help")
    told = " ".join(said.split())
    assert "--heat FLOAT Degrees at the end. [default: 900.0]" in told
    assert "--steps INTEGER Of the program; default: two." in told
    assert "--bricks COUNT How many. [default: 1000.0]" in told
    assert "--fuel [wood|gas] What burns. [default: gas]" in told
    assert "--tags TEXT For the log. Repeatable." in told
    assert "--slow auto: never." in told


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"heat": -1.0}, "--heat: found -1.0; input should be greater than 0"),
        ({"bricks": "many"}, "--bricks: found 'many'; expected a count"),
        ({"heat": 0.0, "steps": 0}, "--steps: found 0; input should be greater than or equal to 1"),
    ],
)
def test_mistakes_name_the_option(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked(Kiln, values)
    assert said in str(caught.value)
