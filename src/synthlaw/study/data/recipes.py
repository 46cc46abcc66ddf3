"""How a study's recipes are carried out: settings and target."""

from __future__ import annotations

import math

from synthlaw.common.errors import UsageError
from synthlaw.generate.engines.registry import check_engine
from synthlaw.generate.mixing import RecipeMix
from synthlaw.generate.recipe import Recipe, load_recipe, refine
from synthlaw.generate.run.target import Target
from synthlaw.generate.settings import Settings
from synthlaw.study.data.orders import FOLDER
from synthlaw.study.workspace import Workspace

FIRST_GUESS_TOKENS = 200
"""Kept tokens expected of a source document, or a chapter, before the first block is finished."""


def check_recipes(space: Workspace) -> None:
    """Raise UsageError now if a recipe does not exist or cannot be used as asked."""
    for name in space.study.generate.recipes:
        try:
            mix_of(space, name)
        except UsageError as error:
            raise UsageError(f"generate.recipes.{name}: {error}") from None


def check_writers(space: Workspace) -> None:
    """Raise UsageError if the study's own models could not write here, before they are trained.

    Text that is begun shows that they could.
    """
    generate = space.study.generate
    for name in generate.recipes:
        generator = generate.generator_of(name)
        if generator.run is not None and not (space.root / FOLDER / name).exists():
            try:
                check_engine(generator)
            except UsageError as error:
                place = f"generate.generators.{generate.generator_name(name)}"
                raise UsageError(f"{place}: {error}") from None


def mix_of(space: Workspace, name: str) -> RecipeMix:
    """One of the study's recipes, or its several with their weights, and how they are drawn."""
    study, generate = space.study, space.study.generate
    generator = generate.generator_of(name)
    sampling = generator.sampling_with(generate.recipes[name].max_tokens)
    weights = generate.recipes[name].named(name)
    settings = [
        Settings(recipe, sampling, study.seed, generator.source_tokens)
        for recipe in _recipes(space, name, list(weights))
    ]
    return RecipeMix.of(settings, list(weights.values()))


def _recipes(space: Workspace, name: str, wanted: list[str]) -> list[Recipe]:
    generate = space.study.generate
    use = generate.recipes[name]
    found = [
        load_recipe(space.study.place(one, space.base) if one.endswith((".yaml", ".yml")) else one)
        for one in wanted
    ]
    off = generate.generator_of(name).rules_off(use)
    asked = use.without_filters is not None  # a default does not ask that the recipe has the rule
    return refine(
        found,
        chapters=use.chapters,
        seeds=use.seeds,
        versions=use.versions,
        stitch=use.stitch,
        without=off if asked else (),
        without_if_used=() if asked else off,
    )


def target_of(space: Workspace, name: str, tokens: int, tokenizer: str) -> Target:
    """What is wanted of one of the study's recipes: `tokens`, as the tokenizer counts them."""
    generate = space.study.generate
    count = generate.recipes[name].documents
    mix = mix_of(space, name)
    texts = math.fsum(
        share * max(1, one.recipe.chapters) * one.recipe.versions
        for one, share in zip(mix.settings, mix.shares, strict=True)
    )
    return Target(
        tokens=tokens,
        tokenizer=tokenizer,
        documents=count,
        passes=generate.recipes[name].rollouts,
        whole=count is not None,
        guess=FIRST_GUESS_TOKENS * texts,
        max_failed=generate.max_failed,
    )
