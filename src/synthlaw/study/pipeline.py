"""The pipeline: a study from its file to its page, every stage skipped that is done already.

    corpus ─► (tokenizer) ─► generate ─► tokens ─► training + evaluation ─► statistics ─► laws
    ─► report

Training and evaluation are done together, run by run, by the executor; `until: training` and
`until: evaluation` both stop after them.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from synthlaw.common.errors import SynthlawError, UsageError
from synthlaw.common.files import write_json, write_text
from synthlaw.common.numbers import format_count
from synthlaw.common.ownership import claimed
from synthlaw.common.progress import say
from synthlaw.evaluation.tasks import check_tasks
from synthlaw.execute.registry import make_executor
from synthlaw.study.data.contamination import Decontamination
from synthlaw.study.data.domains import make_domain, make_domain_tokens
from synthlaw.study.data.generated import Generation, make_generated
from synthlaw.study.data.given import make_given
from synthlaw.study.data.natural import (
    check_sources,
    corpus_counts,
    documents_of,
    make_corpus,
    make_tokenizer,
    make_tokens,
)
from synthlaw.study.data.recipes import check_recipes, check_writers
from synthlaw.study.grid import Run, runs_of, tokens_needed, unread_shares
from synthlaw.study.load import parse_study
from synthlaw.study.measured import note_speeds
from synthlaw.study.plan import plan_study
from synthlaw.study.precision import settled_by, settled_study
from synthlaw.study.repetition import repetition_warnings
from synthlaw.study.results.answer import make_answer
from synthlaw.study.results.generation import write_generation
from synthlaw.study.results.page import make_page
from synthlaw.study.results.statistics import make_statistics
from synthlaw.study.results.tables import (
    write_curves,
    write_evaluation,
    write_facts,
    write_mixtures,
    write_runs,
)
from synthlaw.study.rounds import Round, place_of, rounds_of
from synthlaw.study.run.downstream import task_settings
from synthlaw.study.run.execute import find_finished
from synthlaw.study.run.external import check_trainer
from synthlaw.study.run.ladder import Finished, check_budgets, collect, tasks_of, train_and_score
from synthlaw.study.run.task import RunTask
from synthlaw.study.run.trunks import trunk_states
from synthlaw.study.run.writer import writer_model
from synthlaw.study.spec import NATURAL
from synthlaw.study.store import Artifact, Store
from synthlaw.study.workspace import STAGES, Workspace
from synthlaw.tokens.dataset import TokenDataset
from synthlaw.tokens.sampler import SourceUse
from synthlaw.tokens.tokenizer import Tokenizer

STUDY_FILE = "study.yaml"
STATISTICS_ERROR = "statistics-error.txt"


@dataclass
class Outcome:
    """What a call of `run_study` did: artifacts made, artifacts found done, the page if drawn.

    missing: runs that failed, and why, and that it went on without.
    """

    made: list[str] = field(default_factory=list)
    kept: int = 0
    page: Path | None = None
    missing: dict[str, str] = field(default_factory=dict)


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
    allow_missing: int = 0,
) -> Outcome:
    """Run the study whose file holds `text`, or what is left of it, in the folder `out`.

    name: what errors call the file. base: where its relative paths start. executor: a name that
    `execute.registry` knows. until: the last stage to do. verify: compare every kept file with its
    SHA-256, not only its size. allow_missing: so many runs may fail for good; laws and page are
    made without them and say so.
    Raises UsageError for a mistake in the study (nothing half-made is left that a rerun would
    trust) and SynthlawError when work failed.
    """
    study = parse_study(text, name)
    space = Workspace(study, base, Store(out, verify=verify))
    with claimed(out, "run", beside=(STUDY_FILE,)):
        _checked(space, name, executor, until)
        with space.store.locked():
            write_text(out / STUDY_FILE, text)
            # Memory that happens to be free is no fact of the study: the same study, the same file.
            plan = plan_study(study, base)
            write_json(out / "plan.json", {n: part for n, part in plan.items() if n != "memory"})
            last = STAGES.index(until)
            if last >= STAGES.index("training"):
                local = executor == "local"
                settle = partial(settled_by, space.run_executor)
                space.study = settled_study(study, base, out, settle, local=local)
            page = _run_stages(space, name, last, allow_missing)
    return Outcome(space.store.made, len(space.store.kept), page, space.missing)


def detach_study(
    text: str,
    name: str,
    base: Path,
    out: Path,
    command: Sequence[str],
    *,
    executor: str,
    until: str,
) -> str:
    """Leave the study to a driver of its own; see `run_study` and `Executor.detach`.

    command: what the driver runs. What can be checked is checked before. Returns what was started.
    """
    space = Workspace(parse_study(text, name), base, Store(out))
    with claimed(out, "run", beside=(STUDY_FILE,)):
        _checked(space, name, executor, until)
        with space.store.locked():
            write_text(out / STUDY_FILE, text)
        return space.executor.detach(command, out)


def _checked(space: Workspace, name: str, executor: str, until: str) -> None:
    """Make the executors, once all that the study names is there.

    Raises UsageError, naming the study file, for what cannot be had or done here.
    """
    try:
        check_recipes(space)
        check_sources(space)
        if space.study.trainer is not None and executor == "local":
            check_trainer(space.study.trainer, space.base)
        wanted = task_settings(space)
        if wanted is not None:
            check_tasks(wanted)
        execution = space.study.execution
        space.run_executor = make_executor(executor, execution.of_runs(executor, space.root))
        space.executor = make_executor(executor, execution.of_data(executor, space.root))
        space.executor.check()
        if not space.executor.elsewhere:
            check_writers(space)
        if STAGES.index(until) >= STAGES.index("training"):
            space.run_executor.check()
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None


def _run_stages(space: Workspace, name: str, last: int, allow_missing: int) -> Path | None:
    try:
        with space.executor:
            data = _natural(space)
            runs = runs_of(space.study, data.tokenizer.vocab, data.tokenizer.bos)
            needed = tokens_needed(space.study, runs)
            for warning in unread_shares(space.study, runs) + repetition_warnings(space.study):
                say(f"  warning: {warning}")
            _check_supply(data, needed)
        if last < STAGES.index("generate"):
            return None
        rounds = rounds_of(space.study, runs)
        whole = _Rounds(space, data, needed, name, allow_missing)
        for one in rounds:
            whole.generate(one)
            if last < STAGES.index("training"):
                _say_what_waits(rounds)
                return None
            whole.train(one)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None
    finished, untrained = collect(space, runs, whole.tasks)
    documents = {n: TokenDataset(a.path).manifest.documents for n, a in data.domains.items()}
    assert whole.generated is not None, "there is a first round"
    write_runs(space, finished, whole.generated.labels())
    write_curves(space, finished)
    write_mixtures(space, finished, whole.uses)
    write_evaluation(space, finished, untrained, documents)
    spent = sum(item.result["seconds"] for item in finished)
    if spent > 0:
        flops = sum(item.result["flops"] for item in finished)
        note_speeds(space.root, flops_per_second=round(flops / spent, 3))
    write_facts(space, _timed(space, data, runs, whole.tasks))
    return _conclude(space, data, finished, last)


def _say_what_waits(rounds: Sequence[Round]) -> None:
    later = [name for one in rounds[1:] for name in one.recipes]
    if later:
        say(f"  {', '.join(later)}: written by the study's own models, once these are trained")


@dataclass
class _Rounds:
    """Text and models of one round after the other.

    runs, tasks, uses: of all rounds so far. generated: their text.
    """

    space: Workspace
    data: _Data
    needed: Mapping[str, int]
    name: str
    allow_missing: int
    runs: list[Run] = field(default_factory=list)
    tasks: dict[str, RunTask] = field(default_factory=dict)
    uses: dict[str, list[SourceUse]] = field(default_factory=dict)
    generated: Generation | None = None

    def generate(self, one: Round) -> None:
        """The text of a round, and its token sets."""
        models = {
            generator: writer_model(
                self.tasks[run.name], self.space.store, self.data.tokenizer, place_of(generator)
            )
            for generator, run in one.writers.items()
        }
        wanted = {name: self.needed[name] for name in one.recipes if name in self.needed}
        with self.space.executor:
            self.generated = _generate(self.space, self.data, wanted, models, self.generated)

    def train(self, one: Round) -> None:
        """The runs of a round, trained and scored."""
        space, data = self.space, self.data
        self.uses |= check_budgets(space, list(one.runs), data.sources)
        # In the order of all runs: what stands for several of them is then chosen alike.
        self.runs = sorted([*self.runs, *one.runs], key=lambda run: (run.config.flops, run.name))
        anywhere = data.tokenizer.anywhere
        self.tasks = tasks_of(space, self.runs, data.sources, data.domains, anywhere)
        told = f"{len(one.runs)} runs, each scored on {len(data.domains)} domains"
        told += f" (round {one.number})" if one.number else ""
        with space.stage("training", told), space.run_executor:
            space.store.made += train_and_score(
                space, self.runs, self.tasks, allow_missing=self.allow_missing
            )


def _conclude(
    space: Workspace, data: _Data, finished: Sequence[Finished], last: int
) -> Path | None:
    """What is made of the scored runs: statistics, laws, the page."""
    if last < STAGES.index("statistics"):
        return None
    failure = _statistics(space, data, finished)
    if last < STAGES.index("laws"):
        return None
    with space.stage("laws", "data, model and joint law of every mixture"):
        make_answer(space)
    page = None
    if last >= STAGES.index("report"):
        with space.stage("report", "the page"):
            page = make_page(space)
    if failure is not None:
        raise SynthlawError(
            f"statistics: could not be made ({type(failure).__name__}: {failure}); laws and page "
            f"are without them. {space.root / STATISTICS_ERROR} tells where"
        )
    return page


def _statistics(space: Workspace, data: _Data, finished: Sequence[Finished]) -> Exception | None:
    """Make the statistics. Nothing rests on them: what goes wrong is kept and told at the end."""
    log = space.root / STATISTICS_ERROR
    try:
        with (
            space.stage("statistics", "what tells the token sets apart; loss by token"),
            space.executor,
        ):
            make_statistics(space, data.sources, data.domains, finished, data.tokenizer)
    except Exception as error:
        write_text(log, traceback.format_exc())
        say(f"  warning: statistics could not be made: {type(error).__name__}: {error}")
        return error
    log.unlink(missing_ok=True)
    return None


def _natural(space: Workspace) -> _Data:
    study = space.study
    with space.stage("corpus", "natural documents and held-out domains"):
        corpus = make_corpus(space)
        counts = corpus_counts(corpus)
        say(
            f"  {counts['documents']:,} documents to train on ({format_count(counts['words'])} "
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
    natural = make_tokens(space, NATURAL, documents_of(corpus), tokenizer)
    domains = {n: make_domain_tokens(space, n, d, tokenizer) for n, d in documents.items()}
    given = {}
    for name in study.sources:
        found = make_given(space, name)
        given[name] = make_tokens(space, name, found, tokenizer)
        check.report(name, found)
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


def _generate(
    space: Workspace,
    data: _Data,
    wanted: Mapping[str, int],
    models: Mapping[str, Path],
    earlier: Generation | None,
) -> Generation:
    listed = ", ".join(f"{name} {format_count(count)}" for name, count in wanted.items())
    with space.stage("generate", f"{listed or 'nothing'} tokens wanted"):
        made = make_generated(space, wanted, documents_of(data.corpus), data.tokenizer, models)
        generated = made.after(earlier)
        write_generation(space, generated)
    with space.stage("tokens", "token sets of every source"):
        for name, source in made.sources.items():
            data.sources[name] = make_tokens(space, name, source.dataset, data.tokenizer)
            data.check.report(name, source.dataset)
        data.check.write()
        for name in data.sources if earlier is None else made.sources:
            manifest = TokenDataset(data.sources[name].path).manifest
            say(f"  {name}: {manifest.tokens:,} tokens in {manifest.documents:,} documents")
    return generated


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
