"""The generated sources of a study: runs of generation, each as large as the grid needs.

Every recipe is a run of its own, by the same machine as `synthlaw generate`: blocks of source
documents, claimed by workers, in a folder that can be shared. What a study takes of a run is the
shortest sequence of blocks, from the first on, whose kept text holds the tokens that the grid reads
(or as many documents as the study file says), whoever made them and in whatever order.

With a cluster at hand the workers are jobs, `generate.workers` of them, and the study watches;
else this process is the worker. Others may join by `synthlaw work` in either case.
"""

from __future__ import annotations

import asyncio
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
from synthlaw.generate.run.folder import RunFolder
from synthlaw.generate.run.meter import drawn, watched
from synthlaw.generate.run.target import NotEnoughError
from synthlaw.generate.run.work import RunWork
from synthlaw.generate.run.workers import serve
from synthlaw.generate.settings import Settings
from synthlaw.study.data.orders import Orders, read_orders
from synthlaw.study.data.recipes import settings_of, target_of
from synthlaw.study.data.source_documents import SourceDocuments
from synthlaw.study.workspace import Workspace
from synthlaw.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class GeneratedSource:
    """One recipe's text as the study takes it, made from so many source `documents`."""

    settings: Settings
    dataset: Dataset
    counts: Counts
    documents: int
    folder: RunFolder

    def first(self, kind: str) -> Iterator[Document]:
        """What came of the first block, of one kind."""
        path = self.folder.part(kind, 0)
        return read_documents(path) if path.exists() else iter(())


@dataclass
class Generation:
    """All of a study's generated sources by name.

    inputs: what they were made from. seconds, completion_tokens: of what was generated just now.
    """

    engine: Engine
    inputs: SourceDocuments
    sources: dict[str, GeneratedSource] = field(default_factory=dict)
    seconds: float = 0.0
    completion_tokens: int = 0


def make_generated(
    space: Workspace, wanted: Mapping[str, int], documents: Dataset, tokenizer: Tokenizer
) -> Generation:
    """Every source in `wanted` (name to tokens), generated or found.

    documents: the natural training documents. Raises UsageError when they are spent before a source
    has its tokens, and SynthlawError when the generator fails on too many of them.
    """
    orders = _orders(space, wanted, documents, tokenizer)
    orders.write()
    engine = orders.make_engine()
    runs = orders.open_runs(engine, verify=space.store.verify)
    began = time.monotonic()
    try:
        written = 0
        if not all(run.complete for run in runs):
            work = _by_jobs if space.generation_executor.elsewhere else _here
            written = work(space, runs, engine)
        for run in runs:
            run.standing.check_enough()
    except NotEnoughError as error:
        raise _not_enough(error, documents.documents) from None
    inputs = SourceDocuments(documents, orders.seed, orders.block_size)
    made = Generation(engine, inputs, seconds=time.monotonic() - began)
    # What the engine wrote: what a journal remembered cost no time.
    made.completion_tokens = written
    for run in runs:
        made.sources[run.name] = _source(space, run, orders)
    return made


def _here(space: Workspace, runs: Sequence[RunWork], engine: Engine) -> int:
    """Generate in this process; returns the tokens written."""
    with drawn("generating") as show:
        asyncio.run(serve(runs, engine, show))
    space.store.made += [f"generate/{run.name}-{block:05d}" for run in runs for block in run.made]
    return engine.written


def _by_jobs(space: Workspace, runs: Sequence[RunWork], engine: Engine) -> int:
    """Have jobs generate, and watch; returns the tokens that they wrote.

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
    return sum(int(result["written"]) for result in done)


JOB = f"{__name__}:generate_job"


def generate_job(payload: Json, report: Report) -> Json:
    """A worker on all generated sources of a study, as a job: {"root", "verify", "worker"}.

    Returns the blocks that it made and the tokens that its engine wrote. That the input does not
    give enough is for the study to say, which sees what all workers made.
    """
    orders = read_orders(Path(payload["root"]))
    engine = orders.make_engine(_log_name())
    runs = orders.open_runs(engine, verify=payload["verify"])
    with suppress(NotEnoughError), drawn("generating") as show:
        asyncio.run(serve(runs, engine, show))
    blocks = [f"{run.name}-{block:05d}" for run in runs for block in run.made]
    return {"blocks": blocks, "written": engine.written}


def _log_name() -> str:
    """The log of a server that is started by a worker beside others."""
    return f"vllm-{socket.gethostname()}-{os.getpid()}.log"


def _orders(
    space: Workspace, wanted: Mapping[str, int], documents: Dataset, tokenizer: Tokenizer
) -> Orders:
    study = space.study
    runs = {
        name: (settings_of(space, name), target_of(space, name, tokens, tokenizer.digest))
        for name, tokens in wanted.items()
    }
    engine = study.generate.engine
    size = study.generate.shard_documents
    place = tokenizer.place
    return Orders(space.root, engine, documents.folder, study.seed, size, place, runs)


def _source(space: Workspace, run: RunWork, orders: Orders) -> GeneratedSource:
    result = run.standing.result()
    for block in run.standing.prefix():
        space.store.keep(f"generate/{run.name}-{block:05d}")
    return GeneratedSource(
        settings=orders.runs[run.name][0],
        dataset=run.folder.finish(result, run.target.tokenizer),
        counts=sum_counts(marker.counts for marker in result),
        documents=sum(marker.source_documents for marker in result),
        folder=run.folder,
    )


def _not_enough(error: NotEnoughError, documents: int) -> UsageError:
    more = "raise its 'documents', " if error.documents < documents else ""
    dropped = sorted(error.counts["dropped"].items())
    listed = ", ".join(f"{count} for '{rule}'" for rule, count in dropped)
    left = f" of {error.documents:,}" if error.asked < error.documents else ""
    return UsageError(
        f"generate.recipes.{error.name}: {error.asked:,}{left} source documents gave "
        f"{error.have:,} tokens and the largest budget needs {error.need:,} (the post-filter "
        f"dropped {listed or 'nothing'}); {more}lower the budgets or the share, bring more natural "
        "text, or allow repetition with ladder.max_epochs"
    )


def help_generate(root: Path, **engine: Any) -> dict[str, Any]:
    """Work on the generated sources of the study in `root` until all are complete.

    engine: settings of it that are particular to this machine, such as base_url. Returns
    what this worker did: blocks by source, requests, completion tokens, seconds. Raises UsageError
    when nothing is asked for there, and what a worker raises.
    """
    orders = read_orders(root)
    made = orders.make_engine(_log_name(), **engine)
    runs = orders.open_runs(made)
    began = time.monotonic()
    with drawn("generating") as show:
        asyncio.run(serve(runs, made, show))
    return {
        "blocks": {run.name: len(run.made) for run in runs},
        "requests": sum(run.progress.own.requests for run in runs),
        "completion_tokens": sum(run.progress.own.completion_tokens for run in runs),
        "seconds": round(time.monotonic() - began, 2),
    }
