"""How a study's recipes are carried out: settings and target."""

from __future__ import annotations

from synthlaw.common.errors import UsageError
from synthlaw.generate.recipe import Recipe, load_recipe, refine
from synthlaw.generate.run.target import Target
from synthlaw.generate.settings import Settings
from synthlaw.study.workspace import Workspace

FIRST_GUESS_TOKENS = 200
"""Kept tokens expected of a source document, or a chapter, before the first block is finished."""


def check_recipes(space: Workspace) -> None:
    """Raise UsageError now if a recipe does not exist or cannot be used as asked."""
    for name in space.study.generate.recipes:
        try:
            settings_of(space, name)
        except UsageError as error:
            raise UsageError(f"generate.recipes.{name}: {error}") from None


def settings_of(space: Workspace, name: str) -> Settings:
    """Recipe, sampling, seed and length of one of the study's recipes."""
    study, generate = space.study, space.study.generate
    generator = generate.generator_of(name)
    sampling = generator.sampling_with(generate.recipes[name].max_tokens)
    return Settings(_recipe(space, name), sampling, study.seed, generator.source_tokens)


def _recipe(space: Workspace, name: str) -> Recipe:
    generate = space.study.generate
    use = generate.recipes[name]
    wanted = use.recipe or name
    is_file = wanted.endswith((".yaml", ".yml"))
    recipe = load_recipe(space.study.place(wanted, space.base) if is_file else wanted)
    off = generate.generator_of(name).rules_off(use)
    asked = use.without_filters is not None  # a default does not ask that the recipe has the rule
    (made,) = refine(
        [recipe],
        chapters=use.chapters,
        seeds=use.seeds,
        versions=use.versions,
        stitch=use.stitch,
        without=off if asked else (),
        without_if_used=() if asked else off,
    )
    return made


def target_of(space: Workspace, name: str, tokens: int, tokenizer: str) -> Target:
    """What is wanted of one of the study's recipes: `tokens`, as the tokenizer counts them."""
    generate = space.study.generate
    count = generate.recipes[name].documents
    recipe = settings_of(space, name).recipe
    return Target(
        tokens=tokens,
        tokenizer=tokenizer,
        documents=count,
        passes=generate.recipes[name].rollouts,
        whole=count is not None,
        guess=FIRST_GUESS_TOKENS * max(1, recipe.chapters) * recipe.versions,
        max_failed=generate.max_failed,
    )
