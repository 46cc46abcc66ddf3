"""The generated sources of a study: runs of generation, each as large as the grid needs.

Every recipe is a run of its own, by the same machine as `synthlaw generate`: blocks of source
documents, claimed by workers, in a folder that can be shared. What a study takes of a run is the
shortest sequence of blocks, from the first on, whose kept text holds the tokens that the grid reads
(or as many documents as the study file says), whoever made them and in whatever order.

With a cluster at hand the workers are jobs, `generate.workers` of them, and the study watches;
else this process is the worker. Others may join by `synthlaw work` in either case.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.parts import Dataset
from synthlaw.corpus.documents import Document, read_documents
from synthlaw.execute.base import Json, Report, results_of
from synthlaw.generate.engines.base import Engine
from synthlaw.generate.generated import Counts, sum_counts
from synthlaw.generate.mixing import RecipeMix
from synthlaw.generate.run.folder import RunFolder
from synthlaw.generate.run.meter import drawn, watched
from synthlaw.generate.run.target import NotEnoughError
from synthlaw.generate.run.work import RunWork
from synthlaw.study.data.generators import Generator, serve_all
from synthlaw.study.data.known_engines import known_engines, note_engines
from synthlaw.study.data.orders import Order, Orders, read_orders
from synthlaw.study.data.recipes import mix_of, target_of
from synthlaw.study.data.source_documents import SourceDocuments
from synthlaw.study.workspace import Workspace
from synthlaw.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class GeneratedSource:
    """One recipe's text as the study takes it, made from so many source `documents`.

    generator: its name in the study. rollouts: documents, each as often as it was read.
    """

    mix: RecipeMix
    generator: str
    dataset: Dataset
    counts: Counts
    documents: int
    rollouts: int
    folder: RunFolder

    @property
    def versions(self) -> int:
        """Most versions of one document."""
        rollouts = -(-self.rollouts // self.documents) if self.documents else 0
        return rollouts * max(one.recipe.versions for one in self.mix.settings)

    def first(self, kind: str) -> Iterator[Document]:
        """What came of the first block, of one kind."""
        path = self.folder.part(kind, 0)
        return read_documents(path) if path.exists() else iter(())


@dataclass
class Generation:
    """All of a study's generated sources by name.

    engines: by the generator's name. inputs: what they were made from. speeds: completion tokens
    per second by generator, of those that wrote just now.
    """

    engines: Mapping[str, Engine]
    inputs: SourceDocuments
    sources: dict[str, GeneratedSource] = field(default_factory=dict)
    speeds: dict[str, float] = field(default_factory=dict)

    def after(self, earlier: Generation | None) -> Generation:
        """This and what rounds before it made."""
        if earlier is None:
            return self
        return Generation(
            {**earlier.engines, **self.engines},
            self.inputs,
            {**earlier.sources, **self.sources},
            {**earlier.speeds, **self.speeds},
        )

    def labels(self) -> dict[str, str]:
        """Who wrote each source, as provenance says it."""
        return {name: self.engines[one.generator].label for name, one in self.sources.items()}


def make_generated(
    space: Workspace,
    wanted: Mapping[str, int],
    documents: Dataset,
    tokenizer: Tokenizer,
    models: Mapping[str, Path],
) -> Generation:
    """Every source in `wanted` (name to tokens), generated or found.

    documents: the natural training documents. models: of generators that are runs of the study,
    by name. Raises UsageError when they are spent before a source
    has its tokens, and SynthlawError when the generator fails on too many of them.
    """
    orders = _orders(space, wanted, documents, tokenizer, models)
    orders.write()
    generators, runs = _opened(orders, verify=space.store.verify)
    work = _by_jobs if space.generation_executor.elsewhere else _here
    try:
        speeds = {} if all(run.complete for run in runs) else work(space, runs, generators)
        for run in runs:
            run.standing.check_enough()
    except NotEnoughError as error:
        raise _not_enough(error, documents.documents) from None
    note_engines(
        orders, {n: (one.engine.identity(), one.engine.label) for n, one in generators.items()}
    )
    inputs = SourceDocuments(documents, orders.seed, orders.block_size)
    engines = {name: one.engine for name, one in generators.items()}
    made = Generation(engines, inputs, speeds=speeds)
    for run in runs:
        made.sources[run.name] = _source(space, run, orders)
    return made


def _opened(orders: Orders, *, verify: bool) -> tuple[dict[str, Generator], list[RunWork]]:
    """Generators and runs; where all was made before, servers are not asked who they are."""
    known = known_engines(orders)
    if known and all(name in known for name in orders.generators):
        generators = {name: Generator(name, known[name], elsewhere=True) for name in known}
        runs = orders.open_runs(generators, verify=verify)
        if all(run.complete for run in runs):
            return generators, runs
    generators = orders.make_generators()
    return generators, orders.open_runs(generators, verify=verify)


def _here(
    space: Workspace, runs: Sequence[RunWork], generators: Mapping[str, Generator]
) -> dict[str, float]:
    """Generate in this process; returns the generators' tokens per second."""
    with drawn("generating") as show:
        serve_all(list(generators.values()), show)
    space.store.made += [f"generate/{run.name}-{block:05d}" for run in runs for block in run.made]
    return {name: one.written / one.seconds for name, one in generators.items() if one.written}


def _by_jobs(
    space: Workspace, runs: Sequence[RunWork], generators: Mapping[str, Generator]
) -> dict[str, float]:
    """Have jobs generate, and watch; returns the generators' tokens per second, all jobs together.

    Raises NotEnoughError, and what the first job raised that failed.
    """
    payload = {"root": str(space.root.absolute()), "verify": space.store.verify}
    jobs = [{**payload, "worker": number} for number in range(space.study.generate.workers)]
    with watched("generating", runs):
        done = [result for _, result in results_of(space.generation_executor.map(JOB, jobs))]
    for run in runs:
        run.look()
        run.standing.check_hope()
    if not all(run.complete for run in runs):
        raise SynthlawError("generation: its jobs ended before all was done; run again to go on")
    space.store.made += [f"generate/{name}" for result in done for name in result["blocks"]]
    return {name: speed for name in generators if (speed := _speed(done, name))}


def _speed(results: Sequence[Json], generator: str) -> float:
    """Tokens per second of the jobs of one generator, which worked side by side."""
    work = [result["work"][generator] for result in results]
    seconds = max((one["seconds"] for one in work), default=0.0)
    return sum(one["written"] for one in work) / seconds if seconds else 0.0


JOB = f"{__name__}:generate_job"


def generate_job(payload: Json, report: Report) -> Json:
    """A worker on all generated sources of a study, as a job: {"root", "verify", "worker"}.

    Returns the blocks that it made, and by generator the tokens written and the seconds. That the
    input does not give enough is for the study to say, which sees what all workers made.
    """
    orders = read_orders(Path(payload["root"]))
    generators = orders.make_generators(_log_name())
    runs = orders.open_runs(generators, verify=payload["verify"])
    with suppress(NotEnoughError), drawn("generating") as show:
        serve_all(list(generators.values()), show)
    blocks = [f"{run.name}-{block:05d}" for run in runs for block in run.made]
    work = {n: {"written": g.written, "seconds": g.seconds} for n, g in generators.items()}
    return {"blocks": blocks, "work": work}


def _log_name() -> str:
    """The log of a server that is started by a worker beside others."""
    return f"vllm{{}}-{socket.gethostname()}-{os.getpid()}.log"


def _orders(
    space: Workspace,
    wanted: Mapping[str, int],
    documents: Dataset,
    tokenizer: Tokenizer,
    models: Mapping[str, Path],
) -> Orders:
    study = space.study
    runs = {
        name: Order(
            mix_of(space, name),
            target_of(space, name, tokens, tokenizer.digest),
            study.generate.generator_name(name),
        )
        for name, tokens in wanted.items()
    }
    used = {order.generator for order in runs.values()}
    generators = {
        n: one.model_copy(update={"model": str(models[n])}) if n in models else one
        for n, one in study.generate.used_generators.items()
        if n in used
    }
    size = study.generate.shard_documents
    place = tokenizer.place
    return Orders(space.root, generators, documents.folder, study.seed, size, place, runs)


def _source(space: Workspace, run: RunWork, orders: Orders) -> GeneratedSource:
    result = run.standing.result()
    for block in run.standing.prefix():
        space.store.keep(f"generate/{run.name}-{block:05d}")
    rollouts = sum(marker.source_documents for marker in result)
    return GeneratedSource(
        mix=orders.runs[run.name].mix,
        generator=orders.runs[run.name].generator,
        dataset=run.folder.finish(result, run.target.tokenizer),
        counts=sum_counts(marker.counts for marker in result),
        documents=min(run.folder.each_pass, rollouts),
        rollouts=rollouts,
        folder=run.folder,
    )


def _not_enough(error: NotEnoughError, documents: int) -> UsageError:
    more = "raise its 'documents' or 'rollouts', " if error.documents < documents else ""
    more = more or "allow it more versions of a document with 'rollouts', "
    dropped = sorted(error.counts["dropped"].items())
    listed = ", ".join(f"{count} for '{rule}'" for rule, count in dropped)
    left = f" of {error.documents:,}" if error.asked < error.documents else ""
    return UsageError(
        f"generate.recipes.{error.name}: {error.asked:,}{left} source documents gave "
        f"{error.have:,} tokens and the largest budget needs {error.need:,} (the post-filter "
        f"dropped {listed or 'nothing'}); {more}lower the budgets or the share, bring more natural "
        "text, or allow repetition with ladder.max_epochs"
    )


def help_generate(root: Path, generator: str | None = None, **engine: Any) -> dict[str, Any]:
    """Work on the generated sources of the study in `root` until all are complete.

    generator: work for this one only. engine: settings of it that are particular to this machine,
    such as base_url. Returns what this worker did: blocks by source, requests, completion tokens,
    seconds. Raises UsageError when nothing is asked for there, and what a worker raises.
    """
    orders = read_orders(root)
    orders = (orders.only(generator) if generator else orders).with_engine(**engine)
    generators = orders.make_generators(_log_name())
    runs = orders.open_runs(generators)
    began = time.monotonic()
    with drawn("generating") as show:
        serve_all(list(generators.values()), show)
    return {
        "blocks": {run.name: len(run.made) for run in runs},
        "requests": sum(run.progress.own.requests for run in runs),
        "completion_tokens": sum(run.progress.own.completion_tokens for run in runs),
        "seconds": round(time.monotonic() - began, 2),
    }
