"""How commands answer: one JSON document on standard output, or lines for people."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import click

json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on standard output."
)


def answer(value: Any, lines: Iterable[str], as_json: bool) -> None:
    """Print `value` as JSON, or `lines`."""
    if as_json:
        click.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        for line in lines:
            click.echo(line)
