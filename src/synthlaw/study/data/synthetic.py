"""The synthetic half of a study: sources of generated text, as large as the budgets need.

Source documents are the natural training documents in one seeded order, the same for every
recipe, cut to shards of fixed size. A shard is one artifact. A source is the shortest run of
shards, from the first on, whose kept text holds the tokens that the grid reads (or as many
documents as the study file says), so it does not depend on which shard was done first.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.progress import Meter, meter
from synthlaw.common.seeds import derive_seed
from synthlaw.corpus.documents import Document
from synthlaw.generate.engines.base import Engine
from synthlaw.generate.engines.registry import make_engine
from synthlaw.generate.engines.vllm_options import OwnServer
from synthlaw.generate.keywords import KeywordPool
from synthlaw.generate.recipe import Recipe, load_recipe
from synthlaw.generate.run.journal import BlockJournal
from synthlaw.generate.runner import Generated, Progress, Settings, generate_documents
from synthlaw.study.data.shards import Shard, add_counts, find_shard, shard_key, write_shard
from synthlaw.study.store import Artifact
from synthlaw.study.workspace import Workspace
from synthlaw.tokens.tokenizer import Tokenizer

FIRST_GUESS_TOKENS = 200
"""Kept tokens expected of a source document before the first shard of a recipe is done."""

HOPELESS_AFTER_DOCUMENTS = 100
"""From so many source documents on, a source that the whole corpus would not half fill is given
up: documents are taken in random order, so the first ones speak for the rest."""

SHOW_EVERY_SECONDS = 1.0

JOURNAL = "answers.jsonl"
"""Answers of an unfinished shard, kept as they come: a killed run pays for none of them twice."""


@dataclass
class Source:
    """One recipe's text while it is made. `need`: tokens wanted, in the study's tokens."""

    name: str
    settings: Settings
    need: int
    limit: int
    fixed: bool
    launched: int = 0
    done: dict[int, Shard] = field(default_factory=dict)
    flying: dict[int, Progress] = field(default_factory=dict)

    def prefix(self) -> list[Shard]:
        """The shards that the source consists of, as far as they are done."""
        found: list[Shard] = []
        tokens = 0
        while len(found) in self.done and (self.fixed or tokens < self.need):
            found.append(self.done[len(found)])
            tokens += found[-1].tokens
        return found

    def complete(self, size: int) -> bool:
        """Whether nothing more is wanted, or nothing more can be had."""
        found = self.prefix()
        enough = not self.fixed and sum(shard.tokens for shard in found) >= self.need
        return enough or len(found) * size >= self.limit

    def progress(self, size: int) -> float:
        """Share of what is wanted that the shards done and in flight are expected to give."""
        if self.fixed:
            return self.launched * size / self.limit
        have = sum(shard.tokens for shard in self.done.values())
        guess = FIRST_GUESS_TOKENS * size * max(1, self.settings.recipe.chapters)
        per_shard = have / len(self.done) if self.done else guess
        return (have + per_shard * len(self.flying)) / self.need

    def wants_more(self, size: int) -> bool:
        """Whether another shard is to be begun."""
        return self.launched * size < self.limit and self.progress(size) < 1


@dataclass
class Synthetic:
    """Finished sources by name. seconds, completion_tokens: of what was generated just now."""

    sources: dict[str, list[Artifact]]
    settings: dict[str, Settings]
    engine: Engine
    seconds: float = 0.0
    completion_tokens: int = 0


def check_recipes(space: Workspace) -> None:
    """Raise UsageError now if a recipe does not exist or cannot be used as asked."""
    for name in space.study.generate.recipes:
        try:
            settings_of(space, name)
        except UsageError as error:
            raise UsageError(f"generate.recipes.{name}: {error}") from None


def settings_of(space: Workspace, name: str) -> Settings:
    """How one recipe of the study is carried out: recipe, sampling, seed, length."""
    study, generate = space.study, space.study.generate
    sampling = generate.sampling_with(generate.recipes[name].max_tokens)
    return Settings(_recipe(space, name), sampling, study.seed, generate.source_tokens)


def _recipe(space: Workspace, name: str) -> Recipe:
    use = space.study.generate.recipes[name]
    wanted = use.recipe or name
    is_file = wanted.endswith((".yaml", ".yml"))
    recipe = load_recipe(space.study.place(wanted, space.base) if is_file else wanted)
    if use.chapters is not None:
        recipe = recipe.with_chapters(use.chapters)
    if use.seeds is not None:
        recipe = recipe.seeded_by(use.seeds)
    off = space.study.generate.rules_off(use)
    if use.without_filters is None:  # a default does not ask that the recipe has the rule
        off = tuple(rule for rule in off if rule in recipe.all_rules)
    return recipe.without_rules(off) if off else recipe


def engine_of(space: Workspace) -> Engine:
    """The study's generator. Nothing is loaded or asked until it is entered."""
    spec = space.study.generate.engine
    return make_engine(
        spec.kind,
        model=spec.model,
        base_urls=spec.base_url,
        concurrency=spec.concurrency,
        tokenizer=spec.tokenizer,
        api=spec.api,
        fold_system=spec.fold_system,
        server=OwnServer(spec.command, spec.options, space.root / "vllm.log"),
    )


def make_synthetic(
    space: Workspace,
    wanted: Mapping[str, int],
    documents: list[Document],
    tokenizer: Tokenizer,
) -> Synthetic:
    """Every source in `wanted` (name to tokens), generated or found.

    Raises UsageError when the source documents are spent before a source has its tokens, and
    SynthlawError when the generator fails on too many of them.
    """
    seed, recipes = space.study.seed, space.study.generate.recipes
    order = sorted(documents, key=lambda doc: derive_seed(seed, "sources", doc.id))
    sources = []
    for name, need in wanted.items():
        count = recipes[name].documents
        limit = min(count or len(order), len(order))
        sources.append(Source(name, settings_of(space, name), need, limit, count is not None))
    maker = _Maker(space, sources, order, engine_of(space), tokenizer)
    maker.find_finished()
    result = Synthetic({}, {s.name: s.settings for s in sources}, maker.engine)
    if not all(source.complete(maker.size) for source in sources):
        started = time.monotonic()
        asyncio.run(maker.generate())
        # What the engine wrote: answers that a journal remembered cost no time.
        result.completion_tokens = maker.engine.written
        result.seconds = time.monotonic() - started
    for source in sources:
        _check_enough(source, len(order))
        result.sources[source.name] = [shard.artifact for shard in source.prefix()]
    return result


def _check_hopeful(source: Source, size: int, documents: int) -> None:
    """Stop at once when what was kept so far says that the corpus will be spent in vain."""
    asked = min(len(source.done) * size, source.limit)
    have = sum(shard.tokens for shard in source.done.values())
    if asked >= HOPELESS_AFTER_DOCUMENTS and 2 * have * source.limit < source.need * asked:
        raise _not_enough(source, source.done.values(), asked, have, documents)


def _check_enough(source: Source, documents: int) -> None:
    have = sum(shard.tokens for shard in source.prefix())
    if have < source.need:
        raise _not_enough(source, source.prefix(), source.limit, have, documents)


def _not_enough(
    source: Source, shards: Iterable[Shard], asked: int, have: int, documents: int
) -> UsageError:
    more = "raise its 'documents', " if source.limit < documents else ""
    dropped = add_counts(shard.artifact for shard in shards).get("dropped", {})
    listed = ", ".join(f"{count} for '{rule}'" for rule, count in sorted(dropped.items()))
    left = f" of {source.limit:,}" if asked < source.limit else ""
    return UsageError(
        f"generate.recipes.{source.name}: {asked:,}{left} source documents gave {have:,} tokens "
        f"and the largest budget needs {source.need:,} (the post-filter dropped "
        f"{listed or 'nothing'}); {more}lower the budgets or the share, bring more natural text, "
        "or allow repetition with ladder.max_epochs"
    )


class _Maker:
    """Keeps the engine busy with shards of every source at once."""

    def __init__(
        self,
        space: Workspace,
        sources: list[Source],
        order: list[Document],
        engine: Engine,
        tokenizer: Tokenizer,
    ) -> None:
        self.space, self.sources, self.order = space, sources, order
        self.engine, self.tokenizer = engine, tokenizer
        self.size = space.study.generate.shard_documents
        keyed = any(source.settings.recipe.seeds == "keywords" for source in sources)
        self.pool = KeywordPool(order, space.study.seed) if keyed else None
        self.completion_tokens = 0

    def find_finished(self) -> None:
        """Take up the shards that are there already, each source as far as they go."""
        for source in self.sources:
            while not source.complete(self.size) and self._take_up(source, source.launched):
                source.launched += 1

    def _documents(self, source: Source, number: int) -> list[Document]:
        return self.order[number * self.size : min((number + 1) * self.size, source.limit)]

    def _key(self, source: Source, number: int) -> str:
        documents = self._documents(source, number)
        pool = self.pool if source.settings.recipe.seeds == "keywords" else None
        return shard_key(self.space.store, source.settings, self.engine, documents, pool)

    def _take_up(self, source: Source, number: int) -> bool:
        label = f"{source.name}-{number:05d}"
        found = find_shard(self.space.store, label, self._key(source, number), self.tokenizer)
        if found is not None:
            source.done[number] = found
        return found is not None

    async def generate(self) -> int:
        """Generate what is missing. Returns the completion tokens written."""
        total = sum(source.need for source in self.sources)
        with meter("generating", total, "token", done=self._tokens_done()) as bar:
            async with self.engine:
                flying: set[asyncio.Task[None]] = set()
                while True:
                    self._show(bar)
                    while self._room() and (source := self._next()) is not None:
                        number, source.launched = source.launched, source.launched + 1
                        if not self._take_up(source, number):
                            source.flying[number] = Progress()
                            flying.add(asyncio.create_task(self._shard(source, number)))
                    if not flying:
                        return self.completion_tokens
                    finished, flying = await asyncio.wait(
                        flying, timeout=SHOW_EVERY_SECONDS, return_when=asyncio.FIRST_COMPLETED
                    )
                    # Every outcome is looked at: what is not is reported as a traceback.
                    for error in [task.exception() for task in finished]:
                        if error is not None:
                            raise error
                    for source in self.sources:
                        _check_hopeful(source, self.size, len(self.order))

    def _room(self) -> bool:
        """Whether another shard is needed to keep every place of the engine taken."""
        open_documents = sum(
            self.size - progress.documents
            for source in self.sources
            for progress in source.flying.values()
        )
        return open_documents < self.engine.concurrency + self.size

    def _next(self) -> Source | None:
        """The source that is furthest from its end, so that all end together and none alone."""
        wanting = [source for source in self.sources if source.wants_more(self.size)]
        return min(wanting, key=lambda source: source.progress(self.size), default=None)

    async def _shard(self, source: Source, number: int) -> None:
        documents = self._documents(source, number)
        label, key = f"{source.name}-{number:05d}", self._key(source, number)
        work = self.space.store.work("generate", label, key)
        started = time.monotonic()

        def on_progress(progress: Progress) -> None:
            source.flying[number] = progress

        with BlockJournal(work / JOURNAL, sorted(work.glob(JOURNAL)), retry_failed=True) as journal:
            result = await generate_documents(
                source.settings,
                documents,
                self.engine,
                journal=journal,
                pool=self.pool,
                on_progress=on_progress,
            )
        self._check_failures(source, number, result)
        seconds = time.monotonic() - started
        source.done[number] = write_shard(
            self.space.store, label, key, result, self.tokenizer, seconds
        )
        shutil.rmtree(work)
        self.completion_tokens += source.flying.pop(number).completion_tokens

    def _check_failures(self, source: Source, number: int, result: Generated) -> None:
        """A shard with too many failures is not kept; its answers stay in its journal."""
        units = len(self._documents(source, number))
        if len(result.failed) <= self.space.study.generate.max_failed * units:
            return
        reasons = result.counts["failed_by_reason"].items()
        listed = ", ".join(f"{count} with {why}" for why, count in reasons)
        raise SynthlawError(
            f"generate.recipes.{source.name}: {len(result.failed)} requests failed for shard "
            f"{number} of {units} documents ({listed}). What was answered is kept: run again to "
            "try the failed ones once more, or allow a share of failures with generate.max_failed"
        )

    def _show(self, bar: Meter) -> None:
        """Progress in the study's tokens; what is in flight is counted in the generator's."""
        done = self._tokens_done() + self.engine.written - self.completion_tokens
        shards = sum(len(source.done) for source in self.sources)
        bar.update(min(max(done, bar.done), bar.total), f"{shards} shards done")

    def _tokens_done(self) -> float:
        """Tokens of the finished shards, as far as they are wanted."""
        have = [sum(shard.tokens for shard in source.done.values()) for source in self.sources]
        return sum(min(h, s.need) for h, s in zip(have, self.sources, strict=True))
