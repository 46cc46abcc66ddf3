"""Study files: the templates and small studies, cut, doubled, with odd values in odd places."""

from __future__ import annotations

import random
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from synthlaw.study.grid import runs_of
from synthlaw.study.load import parse_study
from synthlaw.study.plan import plan_lines, plan_study

SMALL = """\
natural: {path: text}
generate: {recipes: [hq]}
mixtures: {CC: {natural: 1.0}, 33HQ: {natural: 0.67, hq: 0.33}}
ladder: {sizes: [0.1M], budgets: [50k, 100k], seeds: [0, 1]}
training: {context: 128, batch_tokens: 1024}
"""
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 10**30, 1e308, float("nan"), float("inf"), "", "7B", "0.3M", "off"),
    *("\ud83d", "\u202e", "a" * 5000, "../../etc", "natural", "hq", [], {}, [[]], {"": {}}),
    *({"natural": 1}, {"hq": 0.5, "natural": 0.5}, {"path": "x"}, [1, 1], ["1k", "2k"], "1e999"),
)


class _Studies:
    """A study file, checked and, where it is one, planned."""

    def __init__(self) -> None:
        folder = resources.files("synthlaw.study") / "templates"
        self._whole = [SMALL] * 4 + [
            (folder / name).read_text(encoding="utf-8") for name in ("study.yaml", "demo.yaml")
        ]

    def make(self, rng: random.Random) -> str:
        text = rng.choice(self._whole)
        if rng.random() < 0.6:
            value = _mutated(rng, yaml.safe_load(text), 0.04)
            text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=None)
        while rng.random() < 0.4:
            at, length = rng.randrange(len(text) + 1), rng.randrange(1, 40)
            piece = rng.choice(
                [
                    "",
                    "\n",
                    "  ",
                    "&a ",
                    "*a",
                    "- ",
                    "{",
                    "]",
                    ": ",
                    "!!python/name:os ",
                    "\x00",
                    "'",
                ]
            )
            piece = rng.choice([piece, text[at : at + length] * rng.choice((2, 200))])
            text = text[:at] + piece + text[at + length :]
        return text

    def read(self, given: str) -> str:
        study = parse_study(given, "study.yaml")
        if len(study.mixtures) * len(study.ladder.budgets) > 1000:
            return "large"
        runs_of(study, 300)
        plan_lines(plan_study(study, Path("/nonexistent")))
        return "planned"


def _mutated(rng: random.Random, value: Any, rate: float) -> Any:
    if rng.random() < rate:
        return rng.choice(ODD)
    if isinstance(value, dict):
        made = {k: _mutated(rng, v, rate) for k, v in value.items() if rng.random() > rate / 2}
        if rng.random() < rate:
            made[rng.choice(["seed", "name", "phases", "sources", "", "no", 7, None])] = rng.choice(
                ODD
            )
        return made
    if isinstance(value, list):
        return [_mutated(rng, one, rate) for one in value] * rng.choice((1, 1, 1, 1, 2))
    return value


TARGETS = {"studies": _Studies()}
