"""One document through a recipe's steps: prompts, completions, the post-filter."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from synthlaw.common.errors import UsageError
from synthlaw.corpus.documents import Document
from synthlaw.generate.engines.base import Engine, Request, RequestFailedError
from synthlaw.generate.filing import Filing
from synthlaw.generate.filters import Candidate
from synthlaw.generate.functions import FunctionRecipe, load_function
from synthlaw.generate.generated import Generated
from synthlaw.generate.keywords import KeywordPool, key_phrases
from synthlaw.generate.recipe import Step
from synthlaw.generate.requests import (
    NOTHING_ASKED,
    Journal,
    Progress,
    ProgressCallback,
    Requests,
    Rollout,
)
from synthlaw.generate.settings import Settings
from synthlaw.generate.stitching import stitched

T = TypeVar("T")


class RolloutMaker:
    """Takes documents through the recipe of one run, any number of them side by side."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        progress: Progress,
        report: ProgressCallback,
        pool: KeywordPool | None = None,
    ) -> None:
        """engine: entered. pool: keywords of the whole input, for a recipe seeded by them.

        Raises UsageError for such a recipe without a pool.
        """
        if pool is None and settings.recipe.seeds == "keywords":
            raise UsageError(f"recipe '{settings.recipe.name}': found no pool of keywords")
        self._settings, self._engine, self._pool = settings, engine, pool
        self._progress = progress
        self._requests = Requests(settings, engine, progress, report)
        self._filing = Filing(settings, engine, progress)
        reference = settings.recipe.python
        self._function = (
            FunctionRecipe(load_function(reference), self._requests, self._filing)
            if reference
            else None
        )

    async def make(self, document: Document, number: int, journal: Journal) -> Generated:
        """One rollout of one document; asks only what `journal` lacks.

        Versions are asked for side by side, numbered on through the rollouts.
        """
        recipe = self._settings.recipe
        first = number * recipe.versions
        numbers = range(first, first + recipe.versions)
        made = await _all(self._version(document, version, journal) for version in numbers)
        whole = Generated()
        for one in made:
            whole.extend(one)
        if recipe.stitch is not None:
            whole = stitched(recipe, document, number, whole)
        self._progress.documents += 1
        self._requests.report()
        return whole

    async def _version(self, document: Document, number: int, journal: Journal) -> Generated:
        whole = Generated()
        try:
            text = await self._prompt_text(document, number)
        except RequestFailedError as error:
            rollout = Rollout(document, number, "", journal)
            fields = self._filing.provenance(rollout, "", NOTHING_ASKED)
            self._filing.fail(f"{document.id}/{number}", fields, document, None, error, whole)
        else:
            await self._recipe(Rollout(document, number, text, journal), whole)
        return whole

    async def _prompt_text(self, document: Document, number: int) -> str:
        """What of the document goes into prompts. Raises RequestFailedError."""
        text = self._seed_text(document, number).encode("utf-8", "replace").decode("utf-8")
        return await self._engine.truncate(self._engine.plain(text), self._settings.input_tokens)

    async def _recipe(self, rollout: Rollout, whole: Generated) -> None:
        if not any(map(str.isalnum, rollout.text)):
            self._filing.empty(rollout.document, rollout.number, whole)
        elif self._function is None:
            await self._steps(rollout, whole)
        else:
            await self._function.make(rollout, whole)

    def check_rules(self) -> None:
        """Raises SynthlawError when rules broke on more completions than is tolerable."""
        self._filing.check_rules()

    def _seed_text(self, document: Document, number: int) -> str:
        """What stands for the document in the recipe's prompts."""
        recipe = self._settings.recipe
        if recipe.seeds == "document":
            return document.text
        if recipe.seeds == "themes":
            return ", ".join(key_phrases(document.text, recipe.keywords))
        assert self._pool is not None, "checked at the start"
        return ", ".join(self._pool.draw(document.id, number, recipe.keywords))

    async def _steps(self, rollout: Rollout, whole: Generated) -> None:
        recipe = self._settings.recipe
        values: dict[str, object] = {
            "document": rollout.text,
            "audience": recipe.audience_of(rollout.document.id, self._settings.seed),
            "chapters": recipe.chapters,
        }
        for step in recipe.steps:
            if step.repeat == "chapters":
                numbers = range(1, recipe.chapters + 1)
                named = [(f"{step.name}-{n}", values | {"chapter": n}) for n in numbers]
            else:
                named = [(step.name, values)]
            outcomes = await _all(self._step(rollout, step, *one, whole) for one in named)
            order = {name: n for n, (name, _) in enumerate(named)}
            for _, documents in whole.lists():
                documents.sort(key=lambda d: order.get(str(d.fields["step"]), -1))
            if step.repeat == "once":
                if outcomes[0] is None:
                    return
                values[step.name] = outcomes[0]

    async def _step(
        self, rollout: Rollout, step: Step, name: str, values: dict[str, object], whole: Generated
    ) -> str | None:
        """One request; files its outcome in `whole`. The text when it passed, else None."""
        settings, requests = self._settings, self._requests
        seed = requests.seed(rollout, name)
        request = Request(step.fill(values), step.system, settings.sampling, seed)
        key = requests.key(rollout, name, request)
        identity = f"{settings.recipe.name}-{key[:24]}"
        fields = self._filing.provenance(rollout, name, request)
        result = await requests.ask(rollout, key, request)
        if isinstance(result, RequestFailedError):
            self._filing.fail(identity, fields, rollout.document, request, result, whole)
            return None
        pieces, chapters = step.fixed_pieces, settings.recipe.chapters
        candidate = Candidate(result, rollout.text, pieces, step.target_tokens, chapters)
        kept = whole.aside if step.keep == "aside" else whole.documents
        passed = self._filing.file(identity, fields, candidate, step.rules, kept, whole.dropped)
        return self._engine.plain(result.text) if passed else None


async def _all(tasks: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run several side by side and wait for every one."""
    pending = list(tasks)
    if len(pending) == 1:
        return [await pending[0]]
    running = [asyncio.ensure_future(task) for task in pending]
    try:
        return await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
