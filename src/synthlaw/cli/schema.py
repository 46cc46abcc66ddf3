"""The command `schema`: what a study or recipe file may hold, as JSON Schema."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("file", type=click.Choice(["study", "recipe"]), default="study")
def schema(file: str) -> None:
    """The JSON schema of a study or recipe file: for editors, and programs that write such files.

    It tells keys, types, ranges and defaults. What must hold between keys is checked when the file
    is read: `synthlaw plan`.

    \b
    Examples:
      synthlaw schema > study.schema.json
      synthlaw schema recipe > recipe.schema.json
    """
    from synthlaw.generate.recipe import Recipe
    from synthlaw.study.spec import Study

    found = (Study if file == "study" else Recipe).model_json_schema()
    named = {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}
    click.echo(json.dumps(named, indent=2))
