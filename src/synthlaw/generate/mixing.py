"""Several recipes in one run: each rollout of each document gets one of them, by weight and seed.

Weights are shares of documents, not of tokens: recipes write at different lengths, and the card
says what share of the tokens each one wrote. For exact token shares in training, generate each
recipe as a source of its own and mix the sources.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import UsageError
from synthlaw.common.seeds import derive_seed
from synthlaw.generate.engines.base import Engine
from synthlaw.generate.recipe import Recipe
from synthlaw.generate.settings import Settings

_DRAW_BITS = 53


@dataclass(frozen=True)
class RecipeMix:
    """Settings that differ in their recipe alone, in the order of the recipes' names.

    shares: of each, positive, adding up to 1.
    """

    settings: tuple[Settings, ...]
    shares: tuple[float, ...]

    @classmethod
    def of(cls, settings: Sequence[Settings], weights: Sequence[float] | None = None) -> RecipeMix:
        """A mix in any order; weights need not add up to 1, None for equal ones.

        Raises UsageError for a weight that is not positive or a recipe's name used twice.
        """
        weights = weights or [1.0] * len(settings)
        ranked = sorted(zip(settings, weights, strict=True), key=lambda one: one[0].recipe.name)
        names = [one.recipe.name for one, _ in ranked]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(f"recipe: found '{twice[0]}' twice; each may be named once")
        for one, weight in ranked:
            if not (math.isfinite(weight) and weight > 0):
                raise UsageError(
                    f"recipe '{one.recipe.name}': found the weight {weight:g}; expected more than 0"
                )
        total = math.fsum(weights)
        return cls(tuple(one for one, _ in ranked), tuple(weight / total for _, weight in ranked))

    @property
    def recipes(self) -> dict[str, Recipe]:
        """Recipes by name."""
        return {one.recipe.name: one.recipe for one in self.settings}

    @property
    def common(self) -> Settings:
        """Settings of which everything but the recipe holds for all."""
        return self.settings[0]

    def choice(self, document_id: str, rollout: int) -> int:
        """Number of the recipe for one rollout of a document; depends on these and the seed alone.

        A slightly changed weight changes the recipe of few documents.
        """
        if len(self.settings) == 1:
            return 0
        draw = derive_seed(self.common.seed, "mix", document_id, rollout, bits=_DRAW_BITS)
        bounds = list(accumulate(self.shares))[:-1]
        return bisect_right(bounds, draw / 2**_DRAW_BITS)

    def digest(self, engine: Engine) -> str:
        """Key of all results of the mix; that of its settings when it has one recipe."""
        keys = [one.digest(engine) for one in self.settings]
        return keys[0] if len(keys) == 1 else digest_of({"mix": keys, "shares": self.shares})

    def record(self) -> dict[str, Any]:
        """What was asked for, for a run's description: `recipe`, or `recipes` with shares."""
        if len(self.settings) == 1:
            return {"recipe": self.common.recipe.record()}
        pairs = zip(self.settings, self.shares, strict=True)
        return {"recipes": [{"share": share, **one.recipe.record()} for one, share in pairs]}
