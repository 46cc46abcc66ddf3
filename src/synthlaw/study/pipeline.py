"""The pipeline: a study from its file to its page, every stage skipped that is done already.

    corpus ─► (tokenizer) ─► generate ─► tokens ─► training + evaluation ─► statistics ─► laws
    ─► report

Training and evaluation are done together, run by run, by the executor; `until: training` and
`until: evaluation` both stop after them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from synthlaw.common.errors import UsageError
from synthlaw.common.files import write_json, write_text
from synthlaw.common.numbers import format_count
from synthlaw.common.progress import say
from synthlaw.corpus.documents import read_documents
from synthlaw.evaluation.tasks import check_tasks
from synthlaw.study.data.contamination import Decontamination
from synthlaw.study.data.domains import make_domain, make_domain_tokens
from synthlaw.study.data.given import make_given
from synthlaw.study.data.natural import (
    check_sources,
    corpus_counts,
    inputs_of,
    make_corpus,
    make_tokenizer,
    make_tokens,
    read_source,
    texts_of,
)
from synthlaw.study.data.shards import KEPT
from synthlaw.study.data.synthetic import Synthetic, check_recipes, make_synthetic
from synthlaw.study.grid import Run, runs_of, tokens_needed
from synthlaw.study.load import parse_study
from synthlaw.study.plan import plan_study
from synthlaw.study.precision import settled_study
from synthlaw.study.results.answer import make_answer
from synthlaw.study.results.generation import note_speeds, write_generation
from synthlaw.study.results.page import make_page
from synthlaw.study.results.statistics import make_statistics
from synthlaw.study.results.tables import (
    write_curves,
    write_evaluation,
    write_facts,
    write_mixtures,
    write_runs,
)
from synthlaw.study.run.downstream import task_settings
from synthlaw.study.run.execute import find_finished
from synthlaw.study.run.ladder import Finished, check_budgets, collect, tasks_of, train_and_score
from synthlaw.study.run.local import Executor, LocalExecutor
from synthlaw.study.run.task import RunTask
from synthlaw.study.run.trunks import trunk_states
from synthlaw.study.spec import NATURAL
from synthlaw.study.store import Artifact, Store
from synthlaw.study.workspace import STAGES, Workspace
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.tokenizer import Tokenizer

STUDY_FILE = "study.yaml"
EXECUTORS = ("local", "ray", "slurm")


@dataclass
class Outcome:
    """What a call of `run_study` did: artifacts made, artifacts found done, the page if drawn."""

    made: list[str] = field(default_factory=list)
    kept: int = 0
    page: Path | None = None


@dataclass
class _Data:
    """Everything that runs read."""

    tokenizer: Tokenizer
    corpus: Artifact
    sources: dict[str, Artifact]
    domains: dict[str, Artifact]
    check: Decontamination


def run_study(
    text: str,
    name: str,
    base: Path,
    out: Path,
    *,
    executor: str = "local",
    until: str = STAGES[-1],
    verify: bool = False,
) -> Outcome:
    """Run the study whose file holds `text`, or what is left of it, in the folder `out`.

    name: what errors call the file. base: where its relative paths start. executor: one of
    EXECUTORS. until: the last stage to do. verify: compare every kept file with its SHA-256, not
    only its size.
    Raises UsageError for a mistake in the study (nothing half-made is left that a rerun would
    trust) and SynthlawError when work failed.
    """
    study = parse_study(text, name)
    space = Workspace(study, base, Store(out, verify=verify))
    try:
        check_recipes(space)
        check_sources(space)
        wanted = task_settings(space)
        if wanted is not None:
            check_tasks(wanted)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None
    with space.store.locked():
        write_text(out / STUDY_FILE, text)
        # Memory that happens to be free is no fact of the study: the same study, the same file.
        plan = {name: part for name, part in plan_study(study).items() if name != "memory"}
        write_json(out / "plan.json", plan)
        last = STAGES.index(until)
        runner = _executor(space, executor)
        if last >= STAGES.index("training"):
            local = executor == "local"
            ask = partial(runner.settle, root=out)
            space.study = settled_study(study, out, ask, local=local)
        page = _run_stages(space, name, runner, last)
    return Outcome(space.store.made, len(space.store.kept), page)


def _run_stages(space: Workspace, name: str, executor: Executor, last: int) -> Path | None:
    try:
        data = _natural(space)
        runs = runs_of(space.study, data.tokenizer.vocab, data.tokenizer.bos)
        needed = tokens_needed(space.study, runs)
        _check_supply(data, needed)
        if last < STAGES.index("generate"):
            return None
        synthetic = _generate(space, data, needed)
        if last < STAGES.index("tokens"):
            return None
        uses = check_budgets(space, runs, data.sources)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None
    if last < STAGES.index("training"):
        return None
    tasks = tasks_of(space, runs, data.sources, data.domains, data.tokenizer.path.resolve())
    with space.stage("training", f"{len(runs)} runs, each scored on {len(data.domains)} domains"):
        space.store.made += train_and_score(space, runs, tasks, executor)
    finished, untrained = collect(space, runs, tasks)
    documents = {n: TokenDataset(a.path).manifest.documents for n, a in data.domains.items()}
    write_runs(space, finished, synthetic.engine.label)
    write_curves(space, finished)
    write_mixtures(space, finished, uses)
    write_evaluation(space, finished, untrained, documents)
    spent = sum(item.result["seconds"] for item in finished)
    if spent > 0:
        flops = sum(item.result["flops"] for item in finished)
        note_speeds(space, flops_per_second=flops / spent)
    write_facts(space, _timed(space, data, runs, tasks))
    return _conclude(space, data, finished, last)


def _conclude(
    space: Workspace, data: _Data, finished: Sequence[Finished], last: int
) -> Path | None:
    """What is made of the scored runs: statistics, laws, the page."""
    if last < STAGES.index("statistics"):
        return None
    with space.stage("statistics", "what tells the token sets apart; loss by token"):
        make_statistics(space, data.sources, data.domains, finished, data.tokenizer)
    if last < STAGES.index("laws"):
        return None
    with space.stage("laws", "data, model and joint law of every mixture"):
        make_answer(space)
    if last < STAGES.index("report"):
        return None
    with space.stage("report", "the page"):
        return make_page(space)


def _executor(space: Workspace, name: str) -> Executor:
    execution = space.study.execution
    if name == "local":
        return LocalExecutor(execution.workers, execution.threads, execution.gpus_per_run)
    from synthlaw.study.run.cluster import RayExecutor, SlurmExecutor

    if name == "ray":
        return RayExecutor(execution.threads, execution.gpus_per_run)
    return SlurmExecutor(execution.threads, execution.slurm, gpus=execution.gpus_per_run)


def _natural(space: Workspace) -> _Data:
    study = space.study
    with space.stage("corpus", "natural documents and held-out domains"):
        corpus = make_corpus(space)
        counts = corpus_counts(corpus)
        say(
            f"  {counts['training']:,} documents to train on ({format_count(counts['words'])} "
            f"words), {counts['held_out']:,} held out"
            + "".join(f", {n:,} left out: {why}" for why, n in counts["left_out"].items())
        )
        names = list(study.evaluation.domains)
        if counts["held_out"] and NATURAL not in names:
            names.insert(0, NATURAL)
        if not names:
            raise UsageError("evaluation: no domain and no held-out text; raise corpus.held_out")
        documents = {name: make_domain(space, name, corpus) for name in names}
        check = Decontamination(space, documents)
        corpus = check.natural(corpus)
    tokenizer = make_tokenizer(space, corpus)
    path = corpus.file("training.parquet")
    natural = make_tokens(space, NATURAL, texts_of(path), corpus.content, tokenizer)
    domains = {n: make_domain_tokens(space, n, d, tokenizer) for n, d in documents.items()}
    given = {name: make_given(space, name, tokenizer) for name in study.sources}
    for name, source in study.sources.items():
        check.report(name, read_source(space, source), inputs_of(space, source))
    return _Data(tokenizer, corpus, {NATURAL: natural, **given}, domains, check)


def _check_supply(data: _Data, needed: dict[str, int]) -> None:
    """Budgets beyond the text that is there are an error before anything is generated."""
    for name, artifact in data.sources.items():
        have = TokenDataset(artifact.path).manifest.tokens
        if needed.get(name, 0) > have:
            raise UsageError(
                f"ladder.budgets: the largest budget needs {needed[name]:,} {name} tokens and the "
                f"{name} text holds {have:,}; lower the budgets, bring more text, or allow "
                "repetition with ladder.max_epochs"
            )


def _generate(space: Workspace, data: _Data, needed: dict[str, int]) -> Synthetic:
    wanted = {name: needed[name] for name in space.study.generate.recipes if name in needed}
    listed = ", ".join(f"{name} {format_count(count)}" for name, count in wanted.items())
    with space.stage("generate", f"{listed or 'nothing'} tokens wanted"):
        documents = list(read_documents(data.corpus.file("training.parquet")))
        synthetic = make_synthetic(space, wanted, documents, data.tokenizer)
        write_generation(space, synthetic, {document.id: document for document in documents})
    with space.stage("tokens", "token sets of every source"):
        for name, shards in synthetic.sources.items():
            texts = (text for shard in shards for text in texts_of(shard.file(KEPT)))
            content = [shard.content for shard in shards]
            data.sources[name] = make_tokens(space, name, texts, content, data.tokenizer)
            kept = (doc for shard in shards for doc in read_documents(shard.file(KEPT)))
            data.check.report(name, kept, content)
        data.check.write()
        for name, artifact in data.sources.items():
            manifest = TokenDataset(artifact.path).manifest
            say(f"  {name}: {manifest.tokens:,} tokens in {manifest.documents:,} documents")
    return synthetic


def _timed(
    space: Workspace, data: _Data, runs: list[Run], tasks: dict[str, RunTask]
) -> dict[str, list[Artifact]]:
    found = [find_finished(tasks[run.name], space.store) for run in runs]
    return {
        "corpus": [data.corpus],
        "tokens": [*data.sources.values(), *data.domains.values()],
        "training": [pair[0] for pair in found if pair]
        + trunk_states((tasks[run.name] for run in runs), space.store),
        "evaluation": [pair[1] for pair in found if pair and pair[1]],
    }
