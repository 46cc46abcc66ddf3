"""One document through a recipe's steps: prompts, answers, the post-filter, provenance."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.seeds import derive_seed
from synthlaw.corpus.documents import Document
from synthlaw.generate.engines.answers import clean
from synthlaw.generate.engines.base import Completion, Engine, Request, RequestFailedError, Sampling
from synthlaw.generate.engines.reasoning import answer_alone
from synthlaw.generate.filters import Candidate, Drop, first_drop
from synthlaw.generate.keywords import KeywordPool, key_phrases
from synthlaw.generate.recipe import Step
from synthlaw.generate.rollout import (
    Answer,
    RequestNames,
    Rollout,
    RolloutDocument,
    load_rollout,
    parse_payload,
    texts_of,
)
from synthlaw.generate.settings import Generated, Journal, Progress, ProgressCallback, Settings

_NOTHING_ASKED = Request("", "", Sampling(), 0)

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
        pool: KeywordPool | None = None,
    ) -> None:
        """engine: entered, since its identity is part of every request's key. pool: keywords of
        the whole input, for a recipe that is seeded by them. Raises UsageError without it.
        """
        if pool is None and settings.recipe.seeds == "keywords":
            raise UsageError(f"recipe '{settings.recipe.name}': found no pool of keywords")
        self._pool = pool
        self.settings, self.engine = settings, engine
        self.progress, self._on_progress = progress or Progress(), on_progress
        self._sampling_json = settings.sampling.as_json()
        self._key = settings.digest(engine)
        reference = settings.recipe.python
        self._function = load_rollout(reference) if reference else None
        self._rule_errors: Counter[str] = Counter()
        self._judged = 0

    async def document(self, document: Document, rollout: int, journal: Journal) -> Generated:
        """One rollout of one document through all steps; asks only what `journal` lacks."""
        whole = Generated()
        try:
            text = await self._prompt_text(document, rollout)
        except RequestFailedError as error:
            unit = _Unit(document, rollout, "", journal)
            fields = self._provenance(unit, "", _NOTHING_ASKED)
            self._fail(unit, f"{document.id}/{rollout}", fields, None, error, whole)
        else:
            await self._recipe(_Unit(document, rollout, text, journal), whole)
        self.progress.documents += 1
        self._report()
        return whole

    async def _recipe(self, unit: _Unit, whole: Generated) -> None:
        if not any(map(str.isalnum, unit.text)):
            document = unit.document
            fields = {"source_id": document.id, "recipe": self.settings.recipe.name}
            fields |= {"step": "", "reason": "empty-source", "detail": "no letter or digit"}
            whole.dropped.append(Document(f"{document.id}/{unit.rollout}", document.text, fields))
        elif self._function is None:
            await self._steps(unit, whole)
        else:
            await self._function_of(unit, self._function, whole)

    async def _prompt_text(self, document: Document, rollout: int) -> str:
        """What of the document goes into prompts. Raises RequestFailedError."""
        text = self._seed_text(document, rollout).encode("utf-8", "replace").decode("utf-8")
        return await self.engine.truncate(self.engine.plain(text), self.settings.input_tokens)

    def _seed_text(self, document: Document, rollout: int) -> str:
        """What stands for the document in the recipe's prompts."""
        recipe = self.settings.recipe
        if recipe.seeds == "document":
            return document.text
        if recipe.seeds == "themes":
            return ", ".join(key_phrases(document.text, recipe.keywords))
        assert self._pool is not None, "checked at the start"
        return ", ".join(self._pool.draw(document.id, rollout, recipe.keywords))

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
        result = await self._ask(unit, key, request)
        if isinstance(result, RequestFailedError):
            self._fail(unit, identity, fields, request, result, whole)
            return None
        pieces, chapters = step.fixed_pieces, self.settings.recipe.chapters
        candidate = Candidate(result, unit.text, pieces, step.target_tokens, chapters)
        kept = whole.intermediate if step.keep == "aside" else whole.documents
        passed = self._file(identity, fields, candidate, step.rules, kept, whole)
        return self.engine.plain(result.text) if passed else None

    async def _ask(
        self, unit: _Unit, key: str, request: Request
    ) -> Completion | RequestFailedError:
        """The journal's answer, or the engine's, which the journal then keeps as it came.

        Its text is the answer alone: see reasoning.py.
        """
        result = unit.journal.find(key)
        if result is None:
            try:
                result = await self.engine.complete(request)
            except RequestFailedError as error:
                result = error
            unit.journal.keep(key, result)
            self.progress.requests += 1
        if isinstance(result, Completion):
            self.progress.completion_tokens += result.completion_tokens
            result = await self._parted(result, unit.text)
        self._report()
        return result

    async def _parted(self, completion: Completion, source: str) -> Completion:
        """The completion without the model's reasoning, or with a doubt where that is not clear."""
        parted = answer_alone(completion.text, source)
        if parted.doubt:
            return replace(completion, doubt=parted.doubt)
        if not parted.cut:
            return completion
        tokens = await self.engine.count_tokens(parted.text)
        aside = f"{parted.cut} cut off"
        return replace(completion, text=parted.text, aside=aside, completion_tokens=tokens)

    def _fail(
        self,
        unit: _Unit,
        identity: str,
        fields: dict[str, Any],
        request: Request | None,
        error: RequestFailedError,
        whole: Generated,
    ) -> None:
        fields = fields | {"reason": error.reason, "response": error.response}
        fields["request"] = request.record() if request else None
        whole.failed.append(Document(identity, unit.document.text, fields))
        self.progress.failed += 1
        self._report()

    def _file(
        self,
        identity: str,
        fields: dict[str, Any],
        candidate: Candidate,
        rules: Sequence[str],
        kept: list[Document],
        whole: Generated,
    ) -> bool:
        """Put a text where it belongs; whether it passed."""
        completion = candidate.completion
        fields = fields | {
            "finish_reason": completion.finish_reason,
            "prompt_tokens": completion.prompt_tokens,
            "completion_tokens": completion.completion_tokens,
        }
        if completion.aside:
            fields["aside"] = completion.aside
        if completion.unsent:
            sent = json.loads(fields["sampling"]) | {"unsent": completion.unsent.split()}
            fields["sampling"] = json.dumps(sent, sort_keys=True)
        drop = self._judge(rules, candidate)
        if drop is None:
            kept.append(Document(identity, completion.text, fields))
            return True
        fields |= {"reason": drop.rule, "detail": drop.detail}
        whole.dropped.append(Document(identity, completion.text, fields))
        return False

    async def _function_of(self, unit: _Unit, function: Rollout, whole: Generated) -> None:
        """A Python recipe on one document: see rollout.py."""
        names = RequestNames()
        asked: dict[str, tuple[Request, Completion]] = {}
        failed: list[tuple[Request, RequestFailedError]] = []

        async def generate(payload: dict[str, Any]) -> Answer:
            system, earlier, prompt, overrides = parse_payload(payload)
            name = names.name(payload)
            sampling = replace(self.settings.sampling, **overrides)
            plain = self.engine.plain
            before = tuple((role, plain(content)) for role, content in earlier)
            request = Request(
                plain(prompt), plain(system), sampling, self._seed(unit, name), before
            )
            result = await self._ask(unit, self._request_key(unit, name, request), request)
            if isinstance(result, RequestFailedError):
                failed.append((request, result))
                raise result
            asked[name] = (request, result)
            return Answer.of(result)

        recipe, document = self.settings.recipe, unit.document
        identity = digest_of([self._key, document.id, unit.rollout])[:24]
        try:
            given = RolloutDocument(document.id, unit.text, dict(document.fields))
            texts = [clean(text) for text in texts_of(await function(given, generate))]
        except Exception as error:
            # Somebody else's code: whatever it raises concerns this document alone, except what
            # the engine itself raises to stop the run.
            if isinstance(error, SynthlawError) and not isinstance(error, RequestFailedError):
                raise
            request, reason = failed[-1] if failed else (None, None)
            shown = reason or RequestFailedError("rollout-error", repr(error))
            fields = self._provenance(unit, "rollout", request or _NOTHING_ASKED)
            self._fail(unit, f"{recipe.name}-{identity}", fields, request, shown, whole)
            return
        for number, text in enumerate(texts, start=1):
            request, completion = await self._origin(text, asked)
            name = "rollout" if len(texts) == 1 else f"rollout-{number}"
            fields = self._provenance(unit, name, request)
            candidate = Candidate(completion, unit.text, (), recipe.target_tokens)
            place = f"{recipe.name}-{identity}-{number}"
            self._file(place, fields, candidate, recipe.rules, whole.documents, whole)

    async def _origin(
        self, text: str, asked: dict[str, tuple[Request, Completion]]
    ) -> tuple[Request, Completion]:
        """The request whose answer `text` is; for a text put together, the last by name."""
        for _, (request, completion) in sorted(asked.items()):
            if completion.text == text:
                return request, completion
        tokens = await self.engine.count_tokens(text)
        if not asked:
            return _NOTHING_ASKED, Completion(text, "stop", 0, tokens)
        request, completion = asked[max(asked)]
        return request, replace(completion, text=text, completion_tokens=tokens)

    def _request(self, unit: _Unit, step: Step, name: str, values: dict[str, object]) -> Request:
        prompt, sampling = step.fill(values), self.settings.sampling
        return Request(prompt, step.system, sampling, self._seed(unit, name))

    def _seed(self, unit: _Unit, name: str) -> int:
        """31 bits: the widest that every server takes."""
        names = (self.settings.recipe.name, unit.document.id, unit.rollout, name)
        return derive_seed(self.settings.seed, "generate", *names, bits=31)

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
            "sampling": self._sampling_json
            if request.sampling is self.settings.sampling
            else request.sampling.as_json(),
            "seed": request.seed,
            "step": name,
            "rollout": unit.rollout,
            "prompt": request.prompt,
        }

    def _judge(self, rules: Sequence[str], candidate: Candidate) -> Drop | None:
        self._judged += 1
        try:
            return first_drop(candidate, rules)
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
