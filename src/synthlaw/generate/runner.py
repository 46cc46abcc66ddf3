"""The runner: every document through its recipe's steps, the engine kept busy, nothing lost.

A document is one asyncio task at a time per place in the engine; its steps run in order and the
chapters of a book side by side. What the model wrote ends up in exactly one of four lists:
documents, dropped (a rule said why), failed (the engine would not answer), and set aside (outlines,
which only feed chapters).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from synthlaw.common.digest import digest_of
from synthlaw.common.errors import SynthlawError
from synthlaw.common.seeds import derive_seed
from synthlaw.corpus.documents import Document
from synthlaw.generate.engine import Completion, Engine, Request, RequestFailedError, Sampling
from synthlaw.generate.filters import Candidate, Drop, first_drop
from synthlaw.generate.recipe import Recipe, Step

INPUT_TOKENS = 2000
"""Most tokens of a document that go into a prompt: the paper's "up to 2k" (appendix A.1.2)."""

RULE_ERRORS_ALLOWED = 0.01
"""Share of completions on which a rule may itself fail before the run is stopped."""


@dataclass(frozen=True)
class Settings:
    """What, besides the document and the engine, determines the answers.

    seed: of the run; each request derives its own. input_tokens: longest document text in a
    prompt, in the engine's tokens. rollouts: answers per document, each with its own seeds.
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
                "recipe": self.recipe.model_dump(mode="json"),
                "sampling": self.sampling.record(),
                "seed": self.seed,
                "input_tokens": self.input_tokens,
                "rollouts": self.rollouts,
                "engine": engine.identity(),
            }
        )


@dataclass
class Progress:
    """Running counts, handed to `on_progress` after every request."""

    documents: int = 0
    requests: int = 0
    failed: int = 0
    completion_tokens: int = 0
    started: float = field(default_factory=time.monotonic)


@dataclass
class Generated:
    """Everything that came of a list of documents, in their order.

    documents: what to train on. dropped: with `reason` (the rule) and `detail`. failed: with
    `reason`, `request`, `response`. intermediate: outlines and the like that passed.
    """

    documents: list[Document] = field(default_factory=list)
    dropped: list[Document] = field(default_factory=list)
    failed: list[Document] = field(default_factory=list)
    intermediate: list[Document] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, Any]:
        """Documents, drops by reason, failures by reason, and tokens of each kind."""
        answered = [*self.documents, *self.dropped, *self.intermediate]
        return {
            "documents": len(self.documents),
            "dropped": dict(Counter(str(doc.fields["reason"]) for doc in self.dropped)),
            "failed": len(self.failed),
            "failed_by_reason": dict(Counter(str(doc.fields["reason"]) for doc in self.failed)),
            "intermediate": len(self.intermediate),
            "document_tokens": _total(self.documents, "completion_tokens"),
            "prompt_tokens": _total(answered, "prompt_tokens"),
            "completion_tokens": _total(answered, "completion_tokens"),
        }

    def extend(self, other: Generated) -> None:
        """Append another's lists."""
        self.documents.extend(other.documents)
        self.dropped.extend(other.dropped)
        self.failed.extend(other.failed)
        self.intermediate.extend(other.intermediate)


def _total(documents: Iterable[Document], column: str) -> int:
    return sum(int(document.fields.get(column) or 0) for document in documents)


class Journal(Protocol):
    """Where answers are kept as they come, so that none is paid for twice."""

    def find(self, key: str) -> Completion | RequestFailedError | None:
        """What became of the request with this key, None when it was never finished."""
        ...

    def keep(self, key: str, result: Completion | RequestFailedError) -> None:
        """Record what became of a request."""
        ...


class _NoJournal:
    def find(self, key: str) -> None:
        return None

    def keep(self, key: str, result: Completion | RequestFailedError) -> None:
        return None


ProgressCallback = Callable[[Progress], None]


def generate_shard(
    recipe: Recipe,
    documents: Sequence[Document],
    engine: Engine,
    sampling: Sampling,
    seed: int,
    *,
    input_tokens: int = INPUT_TOKENS,
    rollouts: int = 1,
    on_progress: ProgressCallback | None = None,
) -> Generated:
    """Run a recipe over documents and wait for the whole. The order of results is the input's.

    A failed request does not stop the others: see `Generated.failed`. Raises SynthlawError when
    the engine itself breaks or when rules fail on more than 1% of the completions.
    """
    settings = Settings(recipe, sampling, seed, input_tokens, rollouts)

    async def run() -> Generated:
        async with engine:
            return await generate_documents(settings, documents, engine, on_progress=on_progress)

    return asyncio.run(run())


async def generate_documents(
    settings: Settings,
    documents: Sequence[Document],
    engine: Engine,
    *,
    journal: Journal | None = None,
    progress: Progress | None = None,
    on_progress: ProgressCallback | None = None,
) -> Generated:
    """As `generate_shard`, within a running loop and an entered engine, with a journal."""
    run = _Run(settings, engine, journal or _NoJournal(), progress or Progress(), on_progress)
    units = [(doc, rollout) for doc in documents for rollout in range(settings.rollouts)]
    results: list[Generated | None] = [None] * len(units)
    places = iter(range(len(units)))

    async def work() -> None:
        for place in places:
            results[place] = await run.document(*units[place])

    workers = [asyncio.create_task(work()) for _ in range(min(engine.concurrency, len(units)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        with contextlib.suppress(Exception):
            await asyncio.gather(*workers, return_exceptions=True)
    whole = Generated()
    for result in results:
        if result is not None:
            whole.extend(result)
    run.check_rules()
    return whole


class _Run:
    """One call's state: what every document's task shares."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        journal: Journal,
        progress: Progress,
        on_progress: ProgressCallback | None,
    ) -> None:
        self.settings, self.engine, self.journal = settings, engine, journal
        self.progress, self._on_progress = progress, on_progress
        self._sampling_json = settings.sampling.as_json()
        self._key = settings.digest(engine)
        self._rule_errors: Counter[str] = Counter()
        self._judged = 0

    async def document(self, document: Document, rollout: int) -> Generated:
        """One rollout of one document through all steps."""
        whole = Generated()
        text = document.text.encode("utf-8", "replace").decode("utf-8")
        text = await self.engine.truncate(self.engine.plain(text), self.settings.input_tokens)
        if not any(map(str.isalnum, text)):
            fields = {"source_id": document.id, "recipe": self.settings.recipe.name}
            fields |= {"step": "", "reason": "empty-source", "detail": "no letter or digit"}
            whole.dropped.append(Document(f"{document.id}/{rollout}", document.text, fields))
        else:
            await self._steps(_Unit(document, rollout, text), whole)
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
        result = self.journal.find(key)
        if result is None:
            result = await self._ask(request)
            self.journal.keep(key, result)
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


async def _all(tasks: Iterable[Any]) -> list[str | None]:
    """Run a step's requests side by side and wait for every one."""
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(task) for task in tasks]
    return [task.result() for task in running]
