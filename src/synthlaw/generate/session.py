"""One document through a recipe's steps: prompts, answers, the post-filter, provenance."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import SynthlawError
from synthlaw.common.seeds import derive_seed
from synthlaw.corpus.documents import Document
from synthlaw.generate.engine import Completion, Engine, Request, RequestFailedError
from synthlaw.generate.filters import Candidate, Drop, first_drop
from synthlaw.generate.recipe import Step
from synthlaw.generate.results import Generated, Journal, Progress, ProgressCallback, Settings

RULE_ERRORS_ALLOWED = 0.01
"""Share of completions on which a rule may itself fail before the run is stopped."""


class Session:
    """What the documents of one run share: settings, engine, counts."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        progress: Progress | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> None:
        """engine: entered, since its identity is part of every request's key."""
        self.settings, self.engine = settings, engine
        self.progress, self._on_progress = progress or Progress(), on_progress
        self._sampling_json = settings.sampling.as_json()
        self._key = settings.digest(engine)
        self._rule_errors: Counter[str] = Counter()
        self._judged = 0

    async def document(self, document: Document, rollout: int, journal: Journal) -> Generated:
        """One rollout of one document through all steps; asks only what `journal` lacks."""
        whole = Generated()
        text = document.text.encode("utf-8", "replace").decode("utf-8")
        text = await self.engine.truncate(self.engine.plain(text), self.settings.input_tokens)
        if not any(map(str.isalnum, text)):
            fields = {"source_id": document.id, "recipe": self.settings.recipe.name}
            fields |= {"step": "", "reason": "empty-source", "detail": "no letter or digit"}
            whole.dropped.append(Document(f"{document.id}/{rollout}", document.text, fields))
        else:
            await self._steps(_Unit(document, rollout, text, journal), whole)
        self.progress.documents += 1
        self._report()
        return whole

    async def _steps(self, unit: _Unit, whole: Generated) -> None:
        recipe = self.settings.recipe
        values: dict[str, object] = {
            "document": unit.text,
            "audience": recipe.audience_of(unit.document.id, self.settings.seed),
            "chapters": recipe.chapters,
        }
        for step in recipe.steps:
            if step.repeat == "chapters":
                numbers = range(1, recipe.chapters + 1)
                named = [(f"{step.name}-{n}", values | {"chapter": n}) for n in numbers]
            else:
                named = [(step.name, values)]
            outcomes = await _all(self._step(unit, step, name, mine, whole) for name, mine in named)
            for place in ("documents", "dropped", "failed", "intermediate"):
                order = {name: n for n, (name, _) in enumerate(named)}
                getattr(whole, place).sort(key=lambda d: order.get(str(d.fields["step"]), -1))
            if step.repeat == "once":
                if outcomes[0] is None:
                    return
                values[step.name] = outcomes[0]

    async def _step(
        self, unit: _Unit, step: Step, name: str, values: dict[str, object], whole: Generated
    ) -> str | None:
        """One request; files its outcome in `whole`. The text when it passed, else None."""
        request = self._request(unit, step, name, values)
        key = self._request_key(unit, name, request)
        identity = f"{self.settings.recipe.name}-{key[:24]}"
        fields = self._provenance(unit, name, request)
        result = unit.journal.find(key)
        if result is None:
            result = await self._ask(request)
            unit.journal.keep(key, result)
            self.progress.requests += 1
        if isinstance(result, RequestFailedError):
            fields |= {"reason": result.reason, "response": result.response}
            fields["request"] = request.record()
            whole.failed.append(Document(identity, unit.document.text, fields))
            self.progress.failed += 1
            self._report()
            return None
        fields |= {
            "finish_reason": result.finish_reason,
            "prompt_tokens": result.prompt_tokens,
            "completion_tokens": result.completion_tokens,
        }
        self.progress.completion_tokens += result.completion_tokens
        pieces, chapters = step.fixed_pieces(), self.settings.recipe.chapters
        drop = self._judge(step, Candidate(result, unit.text, pieces, step.target_tokens, chapters))
        if drop is not None:
            fields |= {"reason": drop.rule, "detail": drop.detail}
            whole.dropped.append(Document(identity, result.text, fields))
        elif step.keep == "aside":
            whole.intermediate.append(Document(identity, result.text, fields))
        else:
            whole.documents.append(Document(identity, result.text, fields))
        self._report()
        return None if drop else self.engine.plain(result.text)

    async def _ask(self, request: Request) -> Completion | RequestFailedError:
        try:
            return await self.engine.complete(request)
        except RequestFailedError as error:
            return error

    def _request(self, unit: _Unit, step: Step, name: str, values: dict[str, object]) -> Request:
        settings = self.settings
        names = (settings.recipe.name, unit.document.id, unit.rollout, name)
        return Request(
            prompt=step.fill(values),
            system=step.system,
            sampling=settings.sampling,
            # 31 bits: the widest that every server takes.
            seed=derive_seed(settings.seed, "generate", *names, bits=31),
        )

    def _request_key(self, unit: _Unit, name: str, request: Request) -> str:
        """Digest of the document, the settings, the engine, the step and what is asked."""
        return digest_of([self._key, unit.document.id, unit.rollout, name, request.record()])

    def _provenance(self, unit: _Unit, name: str, request: Request) -> dict[str, Any]:
        recipe = self.settings.recipe
        return {
            "source_id": unit.document.id,
            "recipe": recipe.name,
            "recipe_version": recipe.version,
            "generator": self.engine.label,
            "sampling": self._sampling_json,
            "seed": request.seed,
            "step": name,
            "rollout": unit.rollout,
            "prompt": request.prompt,
        }

    def _judge(self, step: Step, candidate: Candidate) -> Drop | None:
        self._judged += 1
        try:
            return first_drop(candidate, step.rules)
        except Exception as error:
            # A rule that breaks on a text must not end the run; see check_rules.
            self._rule_errors[f"{type(error).__name__}: {error}"] += 1
            return Drop("rule-error", f"{type(error).__name__}: {error}")

    def check_rules(self) -> None:
        """Raises SynthlawError when rules broke on more completions than is tolerable."""
        broken = sum(self._rule_errors.values())
        if broken > max(1, RULE_ERRORS_ALLOWED * self._judged):
            worst, times = self._rule_errors.most_common(1)[0]
            raise SynthlawError(
                f"post-filter: rules failed on {broken} of {self._judged} completions; "
                f"most often ({times} times) {worst}"
            )

    def _report(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self.progress)


@dataclass(frozen=True)
class _Unit:
    """One rollout of one document; `text` is what of it goes into prompts."""

    document: Document
    rollout: int
    text: str
    journal: Journal


async def _all(tasks: Iterable[Coroutine[Any, Any, str | None]]) -> list[str | None]:
    """Run a step's requests side by side and wait for every one."""
    running = [asyncio.ensure_future(task) for task in tasks]
    try:
        return await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
