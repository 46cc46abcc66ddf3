"""What somebody asks to be generated, by command or in Python, as recipes with their settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from synthlaw.generate.engines.base import SamplingSettings, defaults_of
from synthlaw.generate.engines.registry import EngineSettings
from synthlaw.generate.mixing import RecipeMix
from synthlaw.generate.recipe import load_recipe, refine
from synthlaw.generate.settings import Settings


def asked_mix(
    weighted: Sequence[tuple[str, float]],
    engine: EngineSettings,
    *,
    sampling: SamplingSettings,
    seed: int = 0,
    rollouts: int = 1,
    input_tokens: int | None = None,
    all_rules: bool = False,
    **refinements: Any,
) -> RecipeMix:
    """Recipes by name or file with their weights, and all else that determines the answers.

    all_rules: also those of the post-filter that the engine's model seldom passes. refinements: of
    `recipe.refine`. Raises UsageError for a recipe that there is not, or what it does not take.
    """
    defaults = defaults_of(engine.kind, engine.model)
    recipes = refine(
        [load_recipe(name) for name, _ in weighted],
        without_if_used=() if all_rules else defaults.rules_off,
        **refinements,
    )
    length = input_tokens or defaults.input_tokens
    drawn = sampling.over(defaults.sampling)
    settings = [Settings(recipe, drawn, seed, length, rollouts) for recipe in recipes]
    return RecipeMix.of(settings, [weight for _, weight in weighted])
