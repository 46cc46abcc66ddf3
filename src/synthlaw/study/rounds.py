"""The order in which a study's text and models come about, where its own models write text.

A source that a run of the study writes is made after that run; mixtures that hold it are trained
after that. Without such generators everything is of round 0: all text, then all runs.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synthlaw.common.errors import UsageError
from synthlaw.common.numbers import format_count
from synthlaw.study.grid import Run
from synthlaw.study.spec import Study
from synthlaw.study.spec.rounds import RunRef


@dataclass(frozen=True)
class Round:
    """Text that is generated first, and runs that are trained then. writers: the runs of earlier
    rounds that write, by the generator's name."""

    number: int
    recipes: tuple[str, ...]
    runs: tuple[Run, ...]
    writers: Mapping[str, Run]


def rounds_of(study: Study, runs: Sequence[Run]) -> list[Round]:
    """All rounds in their order; the first is number 0.

    Raises UsageError, naming the generator, for a run that is not in the study's grids, and for
    text that is written by a model which reads it.
    """
    order = _Order(study, writers_of(study, runs))
    by_mixture = {run.mixture: order.mixture(run.mixture) for run in runs}
    by_recipe = {name: order.source(name) for name in study.generate.recipes}
    used = {name for mixture in by_mixture for name in study.sources_of(mixture)}
    found = []
    for number in range(max(by_mixture.values(), default=0) + 1):
        recipes = tuple(n for n, at in by_recipe.items() if at == number and n in used)
        names = {study.generate.generator_name(name) for name in recipes}
        writers = {name: run for name, run in order.writers.items() if name in names}
        trained = tuple(run for run in runs if by_mixture[run.mixture] == number)
        found.append(Round(number, recipes, trained, writers))
    return found


def round_of_mixtures(study: Study, runs: Sequence[Run]) -> dict[str, int]:
    """The round of every mixture that is run: how many models its text has passed through."""
    return {run.mixture: one.number for one in rounds_of(study, runs) for run in one.runs}


def writers_of(study: Study, runs: Sequence[Run]) -> dict[str, Run]:
    """The run behind each generator that is one. Raises UsageError where there is no such run."""
    by_seed = sorted(runs, key=lambda run: study.seeds.index(run.seed))
    return {
        name: _run_of(f"{place_of(name)}.run", spec.run, by_seed)
        for name, spec in study.generate.used_generators.items()
        if spec.run is not None
    }


def place_of(generator: str) -> str:
    """A generator in the study file."""
    return f"generate.generators.{generator}"


def _run_of(place: str, asked: str | RunRef, runs: Sequence[Run]) -> Run:
    if isinstance(asked, str):
        for run in runs:
            if run.name == asked:
                return run
        names = [run.name for run in runs]
        near = difflib.get_close_matches(asked, names, n=3, cutoff=0.3) or names[:3]
        raise UsageError(f"{place}: found {asked!r}; expected a run such as {', '.join(near)}")
    for run in runs:
        cell = (run.mixture, run.size, run.config.budget)
        meant = (asked.mixture, asked.size, round(asked.budget))
        if cell == meant and asked.seed in (None, run.seed):
            return run
    said = f"{asked.mixture} at {asked.size} and {format_count(asked.budget)} tokens"
    said += "" if asked.seed is None else f", seed {asked.seed}"
    raise UsageError(f"{place}: found {said}; expected a run of the study's grids")


class _Order:
    """Rounds of sources and mixtures, by following who writes what from whom."""

    def __init__(self, study: Study, writers: Mapping[str, Run]) -> None:
        self.writers = writers
        self._study = study
        self._known: dict[str, int] = {}
        self._open: list[str] = []

    def mixture(self, name: str) -> int:
        """The round in which a mixture can be trained."""
        return max((self.source(s) for s in self._study.sources_of(name)), default=0)

    def source(self, name: str) -> int:
        """The round in which a source is made."""
        generate = self._study.generate
        if name not in generate.recipes:
            return 0
        writer = self.writers.get(generate.generator_name(name))
        if writer is None:
            return 0
        if name in self._open:
            circle = [*self._open[self._open.index(name) :], name]
            raise UsageError(
                f"generate.recipes.{name}: found text that is written by a model which reads it "
                f"({' reads '.join(reversed(circle))}); expected rounds without a circle"
            )
        if name not in self._known:
            self._open.append(name)
            self._known[name] = 1 + self.mixture(writer.mixture)
            self._open.pop()
        return self._known[name]
