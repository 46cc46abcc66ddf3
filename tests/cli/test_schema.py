"""`synthlaw schema`: its schema takes the files that the program takes."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from synthlaw.cli.main import cli
from synthlaw.study.load import parse_study

SHORT = """\
natural: [{path: text}, {path: more}]
generate:
  engine: {kind: openai, model: m, base_url: http://a}
  recipes: {hq: , books: {recipe: textbook}}
mixtures: {CC: {natural: 1.0}}
ladder: {sizes: {small: {dim: 64, layers: 2, heads: 2}}, budgets: [50k, 1e6]}
training: {context: 128, batch_tokens: 1024, peak_flops: 1T}
"""


def schema_of(kind: str) -> dict[str, Any]:
    result = CliRunner().invoke(cli, ["schema", kind])
    assert result.exit_code == 0, result.output
    value: dict[str, Any] = json.loads(result.output)
    jsonschema.Draft202012Validator.check_schema(value)
    return value


def templates() -> list[str]:
    folder = resources.files("synthlaw.study") / "templates"
    return [(folder / name).read_text(encoding="utf-8") for name in ("study.yaml", "demo.yaml")]


@pytest.mark.parametrize("text", [*templates(), SHORT])
def test_the_schema_takes_what_a_study_may_be(text: str) -> None:
    parse_study(text, "s")
    jsonschema.validate(yaml.safe_load(text), schema_of("study"))


@pytest.mark.parametrize(
    "change",
    [
        ("budgets:", "budjets:"),
        ("context: 128", "context: 0"),
        ("kind: openai", "api: talk"),
        ("dim: 64", "dim: wide"),
        ("mixtures:", "mixture:"),
    ],
)
def test_the_schema_refuses_what_no_study_may_be(change: tuple[str, str]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(SHORT.replace(*change)), schema_of("study"))


def test_the_schema_takes_the_packaged_recipes() -> None:
    schema = schema_of("recipe")
    files = list((resources.files("synthlaw.generate") / "recipes").iterdir())
    recipes = [yaml.safe_load(f.read_text(encoding="utf-8")) for f in files if "yaml" in f.name]
    assert len(recipes) >= 3
    for recipe in recipes:
        jsonschema.validate(recipe, schema)
