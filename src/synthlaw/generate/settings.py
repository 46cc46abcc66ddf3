"""What, besides documents and engine, determines a generation run's text."""

from __future__ import annotations

from dataclasses import dataclass

from synthlaw.common.digest import digest_of
from synthlaw.generate.engines.base import Engine, Sampling
from synthlaw.generate.recipe import Recipe

INPUT_TOKENS = 2000
"""Most tokens of a document that go into a prompt: the paper's "up to 2k" (appendix A.1.2)."""


@dataclass(frozen=True)
class Settings:
    """Recipe, sampling, seed and lengths of a generation run.

    seed: of the run; each request derives its own. input_tokens: longest document text in a
    prompt, in the engine's tokens. rollouts: times that each document goes through the recipe,
    each time with its own seeds.
    """

    recipe: Recipe
    sampling: Sampling
    seed: int
    input_tokens: int = INPUT_TOKENS
    rollouts: int = 1

    def digest(self, engine: Engine) -> str:
        """Key of all results made with these settings by this engine."""
        return digest_of(
            {
                "recipe": self.recipe.record(),
                "sampling": self.sampling.record(),
                "seed": self.seed,
                "input_tokens": self.input_tokens,
                "rollouts": self.rollouts,
                "engine": engine.identity(),
            }
        )
