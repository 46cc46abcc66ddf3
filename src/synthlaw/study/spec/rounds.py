"""Rounds: models that learn from what models of the round before wrote (model collapse proper).

    rounds: {count: 3, size: 2M, budget: 1M, modes: [replace, accumulate]}

is short for generators, recipes, mixtures and a grid, which a study file can hold in their own
words too. `replace` trains round k on the text of round k alone (Shumailov et al., arXiv
2305.17493); `accumulate` keeps the natural text and every earlier round's, in equal shares
(Gerstgrasser et al., arXiv 2404.01413), here at one budget of tokens for all rounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from synthlaw.common.settings import Count, Name, Settings
from synthlaw.generate.engines.base import SamplingSettings
from synthlaw.study.spec.grids import LADDER, NATURAL, named

Mode = Literal["replace", "accumulate"]

KEY = "rounds"
"""In the study file, and the grid's name."""

_SHARE_DIGITS = 4
"""Decimals of equal shares; the natural text has the rest."""


class RunRef(Settings):
    """A run of the study by what it is."""

    mixture: str
    size: str
    budget: Count
    seed: int | None = Field(None, description="default: the first of its grid")


class RoundsSpec(Settings):
    """Rounds of training and writing, each by the model of the round before."""

    count: int = Field(gt=0, le=20, description="rounds of models that read a model's text")
    size: Name = Field(description="one of ladder.sizes, or a preset")
    budget: Count = Field(description="training tokens per run")
    modes: list[Mode] = Field(
        ["replace", "accumulate"],
        min_length=1,
        description="replace: the newest text alone; accumulate: with all that was before",
    )
    recipe: str = Field("continue", description="what a model makes of a document")
    seeds: list[int] | None = Field(
        None,
        min_length=1,
        description="of training; the model of the first writes the text of the next round",
    )
    sampling: SamplingSettings = Field(default_factory=SamplingSettings)
    input_tokens: int | None = Field(
        None, gt=0, description="tokens of a document that are continued; default: 32"
    )
    rollouts: int = Field(1, gt=0, le=1000, description="most texts from one document")

    @field_validator("modes")
    @classmethod
    def _distinct(cls, value: list[Mode]) -> list[Mode]:
        if len(set(value)) < len(value):
            raise ValueError(f"found {value}; expected each once")
        return value


def with_rounds(value: Any) -> Any:
    """The raw study file with what its `rounds` stand for added.

    What is not well formed is left as it is, for the fields' own checks to tell.
    """
    if not isinstance(value, dict) or not isinstance(value.get(KEY), dict):
        return value
    try:
        spec = RoundsSpec.model_validate(value[KEY])
    except ValidationError:
        return value
    parts = [value.get(name, {}) for name in ("mixtures", "grids", "generate")]
    generate = parts[2]
    if not all(isinstance(part, dict) for part in parts):
        return value
    mixtures, grids = dict(parts[0]), dict(parts[1]) or _ladder(value)
    first = named({NATURAL: 1.0}, mixtures) or NATURAL
    mixtures.setdefault(first, {NATURAL: 1.0})
    added = dict(_mixtures(spec, first))
    sources = _sources(spec, first)
    grid: dict[str, Any] = {
        "mixtures": [first, *added],
        "sizes": [spec.size],
        "budgets": [spec.budget],
    }
    if spec.seeds is not None:
        grid["seeds"] = spec.seeds
    return {
        **value,
        "mixtures": {**mixtures, **added},
        "grids": {**grids, KEY: grid},
        "generate": {
            **generate,
            "generators": {
                **(generate.get("generators") or {}),
                **{name: _generator(spec, run) for name, run in sources.items()},
            },
            "recipes": {
                **_recipes(generate.get("recipes")),
                **{
                    name: {"recipe": spec.recipe, "generator": name, "rollouts": spec.rollouts}
                    for name in sources
                },
            },
        },
    }


def _ladder(value: dict[str, Any]) -> dict[str, Any]:
    """The ladder as a grid beside the rounds, where the file describes one."""
    ladder = value.get(LADDER)
    whole = isinstance(ladder, dict) and ladder.get("sizes") and ladder.get("budgets")
    return {LADDER: {"mixtures": [str(n) for n in value.get("mixtures", {})]}} if whole else {}


def _recipes(value: Any) -> dict[str, Any]:
    return {str(name): {} for name in value} if isinstance(value, list) else dict(value or {})


def _names(mode: Mode, rounds: int) -> list[str]:
    """Sources of a chain: the first is common, since the same natural model writes it."""
    return ["round-1", *(f"{mode}-{number}" for number in range(2, rounds + 1))]


def _mixtures(spec: RoundsSpec, first: str) -> Iterator[tuple[str, dict[str, float]]]:
    for mode in spec.modes:
        names = _names(mode, spec.count)
        for number, source in enumerate(names, start=1):
            if mode == "replace":
                yield f"replace-{number}", {source: 1.0}
                continue
            share = round(1 / (number + 1), _SHARE_DIGITS)
            rest = round(1 - number * share, _SHARE_DIGITS)
            yield f"accumulate-{number}", {NATURAL: rest, **dict.fromkeys(names[:number], share)}


def _sources(spec: RoundsSpec, first: str) -> dict[str, dict[str, Any]]:
    """The run that writes each source."""
    at = {"size": spec.size, "budget": spec.budget}
    found: dict[str, dict[str, Any]] = {}
    for mode in spec.modes:
        for number, source in enumerate(_names(mode, spec.count), start=1):
            mixture = first if number == 1 else f"{mode}-{number - 1}"
            found[source] = {"mixture": mixture, **at}
    return found


def _generator(spec: RoundsSpec, run: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"run": run, "sampling": spec.sampling.model_dump(exclude_none=True)}
    if spec.seeds is not None:
        found["run"] = {**run, "seed": spec.seeds[0]}
    if spec.input_tokens is not None:
        found["input_tokens"] = spec.input_tokens
    return found
